"""Texts that are given, as arguments of a command are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from portvec._bulk.sources.plain_lines import TEXT, PlainBlock, plain_schema
from portvec._bulk.sources.source import Block, Report
from portvec._bulk.sources.text_source import pack


class GivenTexts:
    """A `Source` of texts in memory, which may have line ends in them."""

    name = "the texts"
    files: tuple[Path, ...] = ()
    format = "txt"
    text = TEXT
    size = 0
    bytes_read = 0

    def __init__(self, texts: Sequence[str]) -> None:
        self.rows: int | None = len(texts)
        self._texts = texts

    def schema(self) -> Any:
        """Return the schema: one column of strings."""
        return plain_schema()

    def read(self, report: Report) -> Iterator[Block]:
        """Yield the texts in blocks."""
        return map(PlainBlock, pack(self._texts, len))
