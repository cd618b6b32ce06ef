"""CSV and TSV: the first row names the columns, and all values are strings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from portvec._bulk.sources.columns import check_names, describe_difference
from portvec._bulk.sources.csv_records import Record, Records
from portvec._bulk.sources.extra import import_pyarrow
from portvec._bulk.sources.inputs import Input
from portvec._bulk.sources.lines import read_lines
from portvec._bulk.sources.source import BadRow, Block, Report
from portvec._bulk.sources.text_source import TextSource, pack
from portvec._terminal import escape_json
from portvec.errors import FileError

_DELIMITERS: Final = {"csv": ",", "tsv": "\t"}
_encode = json.JSONEncoder(ensure_ascii=False).encode


class CsvTables(TextSource):
    """Tables with a header, quoted as in RFC 4180. Values stay as they are written: "007" is no number."""

    def __init__(self, name: str, inputs: Sequence[Input], text: str, format: str) -> None:
        super().__init__(name, inputs, text)
        self.format = format
        self._delimiter = _DELIMITERS[format]

    def schema(self) -> Any:
        """Return the schema: each column holds strings."""
        pa = import_pyarrow("this output")
        self._check_repeatable()
        columns = self._header(self._inputs[0], self._records(self._inputs[0]))
        return pa.schema([(name, pa.string()) for name in columns])

    def read(self, report: Report) -> Iterator[Block]:
        """Yield the rows in blocks."""
        self._start()
        first: list[str] = []

        def rows() -> Iterator[list[str]]:
            for each in self._inputs:
                records = self._records(each)
                columns = self._header(each, records)
                if not first:
                    first.extend(columns)
                elif columns != first:
                    raise FileError(describe_difference(each.name, self._inputs[0].name, columns, first))
                for record in records:
                    fault = record.fault
                    if fault is None and len(record.fields) != len(columns):
                        fault = (
                            f"the row has {_count(record)}, but the header {len(columns)}; correct the line"
                        )
                    if fault is None:
                        yield record.fields
                    else:
                        report(BadRow(each.name, record.line, fault))

        for packed in pack(rows(), lambda fields: sum(map(len, fields))):
            yield _CsvBlock(packed, first, first.index(self.text))

    def _records(self, each: Input) -> Iterator[Record]:
        return iter(Records(each.name, read_lines(each.chunks(), keep_ends=True), self._delimiter))

    def _header(self, each: Input, records: Iterator[Record]) -> list[str]:
        header = next(records, Record(1, [], None))
        if header.fault is not None:
            raise FileError(f"{each.name}, line {header.line}: {header.fault}")
        check_names(each.name, header.fields, self.text)
        return header.fields


def _count(record: Record) -> str:
    count = len(record.fields)
    return f"{count} field" if count == 1 else f"{count} fields"


class _CsvBlock:
    def __init__(self, rows: list[list[str]], columns: list[str], text: int) -> None:
        self._rows = rows
        self._columns = columns
        self._text = text
        self.texts = [row[text] for row in rows]

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def size(self) -> int:
        """Characters of the rows."""
        return sum(sum(map(len, row)) for row in self._rows)

    def cut(self, start: int, stop: int) -> _CsvBlock:
        return _CsvBlock(self._rows[start:stop], self._columns, self._text)

    def json_rows(self) -> Iterator[str]:
        return (escape_json(_encode(dict(zip(self._columns, row, strict=True)))) for row in self._rows)

    def record_batch(self, schema: Any) -> Any:
        pa = import_pyarrow("this output")
        columns = zip(*self._rows, strict=True) if self._rows else ((),) * len(schema)
        return pa.RecordBatch.from_arrays([pa.array(each, pa.string()) for each in columns], schema=schema)
