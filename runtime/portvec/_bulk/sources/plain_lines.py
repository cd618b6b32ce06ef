"""Plain text: a line is a row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from portvec._bulk.sources.extra import import_pyarrow
from portvec._bulk.sources.lines import read_lines
from portvec._bulk.sources.source import BadRow, Block, Report
from portvec._bulk.sources.text_source import TextSource, pack
from portvec._terminal import escape_json

TEXT: Final = "text"
_encode = json.JSONEncoder(ensure_ascii=False).encode


class PlainLines(TextSource):
    """Lines. A blank one is a row too; the line end of the last one does not begin another."""

    format = "txt"

    def schema(self) -> Any:
        """Return the schema: one column of strings."""
        return plain_schema()

    def read(self, report: Report) -> Iterator[Block]:
        """Yield the lines in blocks."""
        self._start()
        yield from map(PlainBlock, pack(self._lines(report), len))

    def _lines(self, report: Report) -> Iterator[str]:
        for each in self._inputs:
            for lines in read_lines(each.chunks()):
                if not lines.faults:
                    yield from lines.texts
                    continue
                for index, text in enumerate(lines.texts):
                    if index in lines.faults:
                        report(BadRow(each.name, lines.number + index, lines.faults[index]))
                    else:
                        yield text


def plain_schema() -> Any:
    """Return the pyarrow.Schema of rows that are nothing but texts."""
    pa = import_pyarrow("this output")
    return pa.schema([(TEXT, pa.string())])


class PlainBlock:
    """A block of rows that are nothing but texts."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def size(self) -> int:
        """Characters of the rows."""
        return sum(map(len, self.texts))

    def cut(self, start: int, stop: int) -> PlainBlock:
        """Return the rows from `start` to `stop`."""
        return PlainBlock(self.texts[start:stop])

    def json_rows(self) -> Iterator[str]:
        """Yield an object with the text for each row."""
        return (escape_json(_encode({TEXT: text})) for text in self.texts)

    def record_batch(self, schema: Any) -> Any:
        """Return the texts as a pyarrow.RecordBatch with one column."""
        pa = import_pyarrow("this output")
        return pa.RecordBatch.from_arrays([pa.array(self.texts, pa.string())], schema=schema)
