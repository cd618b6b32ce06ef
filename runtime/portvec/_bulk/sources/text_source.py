"""What sources of text files have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from portvec._bulk.sources.inputs import Input
from portvec._bulk.sources.source import MOST_CHARACTERS, MOST_ROWS, Block, Report
from portvec.errors import FileError

_Row = TypeVar("_Row")


class TextSource(ABC):
    """A `Source` of files that consist of lines."""

    rows: int | None = None
    format: str

    def __init__(self, name: str, inputs: Sequence[Input], text: str) -> None:
        self.name = name
        self.text = text
        self.files = tuple(each.path for each in inputs if each.path is not None)
        self.size = sum(each.size for each in inputs)
        self._inputs = tuple(inputs)

    @property
    def bytes_read(self) -> int:
        """How many bytes the pass that runs has read."""
        return sum(each.bytes_read for each in self._inputs)

    @abstractmethod
    def schema(self) -> Any:
        """Return the pyarrow.Schema of all columns."""

    @abstractmethod
    def read(self, report: Report) -> Iterator[Block]:
        """Yield the rows in blocks."""

    def _start(self) -> None:
        """Count bytes from 0 again."""
        for each in self._inputs:
            each.bytes_read = 0

    def _check_repeatable(self) -> None:
        """Check that finding the schema leaves something to read."""
        for each in self._inputs:
            if not each.repeatable:
                raise FileError(
                    f"{each.name}: can be read only once, and its columns have to be known before; write it "
                    "to a file first, or choose an output that needs no types, such as .jsonl"
                )


def pack(rows: Iterable[_Row], size: Callable[[_Row], int]) -> Iterator[list[_Row]]:
    """Yield rows in lists as large as a block may be. `size` is that of a row in characters."""
    packed: list[_Row] = []
    total = 0
    for row in rows:
        characters = size(row)
        if packed and total + characters > MOST_CHARACTERS:
            yield packed
            packed, total = [], 0
        packed.append(row)
        total += characters
        if len(packed) == MOST_ROWS:
            yield packed
            packed, total = [], 0
    if packed:
        yield packed
