"""JSON Lines: a line is an object with a text, or a text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from portvec._bulk.sources.extra import import_pyarrow
from portvec._bulk.sources.json_types import Fields
from portvec._bulk.sources.lines import read_lines
from portvec._bulk.sources.source import BadRow, Block, Report
from portvec._bulk.sources.text_source import TextSource, pack
from portvec._terminal import escape_json

_encode = json.JSONEncoder(ensure_ascii=False).encode
_decode = json.JSONDecoder().raw_decode

# Text, the line without white space around it, and the object that it holds.
_Row = tuple[str, str, dict[str, Any]]


class JsonLines(TextSource):
    """Objects with a string in the field of texts, or strings, which stand for such objects.

    Blank lines are skipped.
    """

    format = "jsonl"

    def schema(self) -> Any:
        """Return the schema in which all rows fit, with the fields in the order in which they come.

        A field that a row lacks is null. Integers are int64, numbers with a fraction or an exponent are
        float64, and dates stay strings.

        Raises:
            FileError: a field has values that no type holds together, or a file can be read only once.
        """
        import_pyarrow("this output")
        self._check_repeatable()
        self._start()
        fields = Fields()
        for rows in pack(self._numbered(lambda _: None), lambda row: len(row[2][1])):
            fields.add([(file, line, value) for file, line, (_, _, value) in rows])
        self._start()
        return fields.schema(self.text)

    def read(self, report: Report) -> Iterator[Block]:
        """Yield the rows in blocks."""
        self._start()
        rows = (row for _, _, row in self._numbered(report))
        for packed in pack(rows, lambda row: len(row[1])):
            yield _JsonBlock(packed, self.text)

    def _numbered(self, report: Report) -> Iterator[tuple[str, int, _Row]]:
        """Yield the file, the line number and the content of each row."""
        for each in self._inputs:
            for lines in read_lines(each.chunks()):
                for number, line in enumerate(lines.texts, lines.number):
                    reason = lines.faults.get(number - lines.number)
                    if reason is None:
                        if not line.strip():
                            continue
                        row = self._parse(line.strip(" \t"))
                        if isinstance(row, tuple):
                            yield each.name, number, row
                            continue
                        reason = row
                    report(BadRow(each.name, number, reason))

    def _parse(self, line: str) -> _Row | str:
        """Return a row, or what is wrong with it."""
        try:
            value, end = _decode(line)
            if end != len(line):
                json.loads(line)  # says what follows the value
        except (ValueError, RecursionError) as error:
            return f"not valid JSON ({error}); correct the line"
        if isinstance(value, str):
            value = {self.text: value}
        text = value.get(self.text) if isinstance(value, dict) else None
        if not isinstance(text, str):
            return (
                f"expected a string or an object with a string {self.text!r}, got {line[:60]}; "
                "give another field=..."
            )
        if "\\u" in line:  # the only way to write a lone surrogate
            try:
                text.encode()
            except UnicodeEncodeError as error:
                return (
                    f"the text holds the lone surrogate U+{ord(text[error.start]):04X} at character "
                    f"{error.start}, which is not text; correct the line"
                )
        return text, line, value


class _JsonBlock:
    def __init__(self, rows: list[_Row], field: str) -> None:
        self._rows = rows
        self._field = field
        self.texts = [row[0] for row in rows]

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def size(self) -> int:
        """Characters of the rows."""
        return sum(len(line) for _, line, _ in self._rows)

    def cut(self, start: int, stop: int) -> _JsonBlock:
        return _JsonBlock(self._rows[start:stop], self._field)

    def json_rows(self) -> Iterator[str]:
        """Yield each object as it was written: 1.0 does not become 1, nor a large integer a rounded one."""
        for text, line, _ in self._rows:
            # A tab in a valid line stands between values, where its escape would be an error.
            row = line.replace("\t", " ") if line[0] == "{" else _encode({self._field: text})
            yield escape_json(row)

    def record_batch(self, schema: Any) -> Any:
        pa = import_pyarrow("this output")
        columns = [
            pa.array([value.get(field.name) for _, _, value in self._rows], field.type) for field in schema
        ]
        return pa.RecordBatch.from_arrays(columns, schema=schema)
