"""Tables whose rows are computed when they are read, so that memory holds no second copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

# Rows handled at a time: with 256 dimensions 4 MiB of float32.
_CHUNK = 4096


class RowReader(Protocol):
    """The part of an array's interface that tables of vectors have: arrays and `Rows`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, dim)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type of what indexing returns."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any: ...


class Rows:
    """A table that can be indexed by rows like an array, which is all that model2vec needs.

    Attributes:
        shape: (rows, dim).
        dtype: element type of what indexing returns.
    """

    def __init__(
        self, shape: tuple[int, int], dtype: npt.DTypeLike, read: Callable[[Any], npt.NDArray[Any]]
    ) -> None:
        self.shape: tuple[int, ...] = shape
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self._read = read

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any, /) -> npt.NDArray[Any]:
        """Return the rows (..., dim) of a slice, a list or an integer array (...)."""
        return self._read(index)


def upcast(table: npt.NDArray[Any]) -> RowReader:
    """Return a table in float32: itself if that is its type, else rows that are converted when read."""
    if table.dtype == np.float32:
        return table

    def read(index: Any) -> npt.NDArray[np.float32]:
        with np.errstate(over="ignore"):  # `check_vectors` refuses what is beyond float32
            return np.asarray(table[index].astype(np.float32))

    return Rows(table.shape, np.float32, read)


def chunks(count: int) -> Iterator[slice]:
    """Yield slices that together cover `count` rows."""
    for start in range(0, count, _CHUNK):
        yield slice(start, min(start + _CHUNK, count))


def same_rows(a: RowReader, b: RowReader) -> bool:
    """Return whether two tables have the same values."""
    return a.shape == b.shape and all(np.array_equal(a[part], b[part]) for part in chunks(len(a)))
