"""Tables whose rows are computed when they are read, so that no second copy of a table is held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

# Rows handled at a time: with 256 dimensions 4 MiB of float32.
_CHUNK = 4096


class Rows:
    """Indexed by rows as an array is; that is all that model2vec does with its table.

    Attributes:
        shape: (rows, dim).
        dtype: of what indexing returns.
    """

    def __init__(
        self, shape: tuple[int, int], dtype: npt.DTypeLike, read: Callable[[Any], npt.NDArray[Any]]
    ) -> None:
        self.shape = shape
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self._read = read

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        """Return the rows (..., dim) of a slice, a list or an integer array (...)."""
        return self._read(index)


def widened(table: npt.NDArray[Any]) -> Any:
    """Return a table's float32 values: itself if that is its type, else rows widened when read."""
    if table.dtype == np.float32:
        return table
    return Rows(table.shape, np.float32, lambda index: table[index].astype(np.float32))


def chunks(count: int) -> Iterator[slice]:
    """Yield slices that together cover so many rows."""
    for start in range(0, count, _CHUNK):
        yield slice(start, min(start + _CHUNK, count))
