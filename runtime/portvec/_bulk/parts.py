"""Parts: the rows that are embedded and written together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from portvec._bulk.sources.source import BadRow, Block

if TYPE_CHECKING:
    import numpy.typing as npt

# How much a part holds at most: bytes of float32 vectors, and characters or bytes of the rows.
_VECTOR_BYTES = 16 << 20
_SIZE = 16 << 20


@dataclass
class Part:
    """Rows in the order of their source, and those that were skipped on the way to them.

    Attributes:
        blocks: the rows.
        skipped: rows that cannot be embedded.
    """

    blocks: list[Block] = field(default_factory=list)
    skipped: list[BadRow] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the number of rows that were not skipped."""
        return sum(map(len, self.blocks))

    @property
    def texts(self) -> list[str]:
        """The text of each row."""
        return list(chain.from_iterable(block.texts for block in self.blocks))

    def with_rows(self, rows: npt.NDArray[np.float32]) -> Iterator[tuple[Block, npt.NDArray[np.float32]]]:
        """Yield each block with its part of `rows`, which are (len(part), anything)."""
        start = 0
        for block in self.blocks:
            yield block, rows[start : start + len(block)]
            start += len(block)


def rows_per_part(dim: int) -> int:
    """Return the most rows of a part whose vectors have `dim` numbers: a power of two."""
    return 1 << max(_VECTOR_BYTES // (4 * dim), 1).bit_length() - 1


def cut_parts(
    read: Callable[[Callable[[BadRow], None]], Iterator[Block]],
    report: Callable[[BadRow], None],
    most_rows: int,
) -> Iterator[Part]:
    """Yield the parts of a source, which `read` reads.

    `report` is called for each row that cannot be embedded, and may raise. What a part holds depends on the
    source alone, so that a run which goes on after another one cuts the same parts.
    """
    part = Part()
    rows = size = 0

    def skip(bad: BadRow) -> None:
        report(bad)
        part.skipped.append(bad)

    for block in read(skip):
        start = 0
        while start < len(block):
            piece = block.cut(start, start + most_rows - rows)
            part.blocks.append(piece)
            start += len(piece)
            rows += len(piece)
            size += piece.size
            if rows == most_rows or size >= _SIZE:
                yield part
                part = Part()
                rows = size = 0
    if part.blocks or part.skipped:
        yield part
