"""Tables whose rows are computed when they are read, so that memory holds no second copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from portvec.errors import SourceError

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

    @property
    def nbytes(self) -> int:
        """The bytes of all rows."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any: ...


class Rows:
    """A table that can be indexed by rows like an array, which is all that model2vec needs.

    Attributes:
        shape: (rows, dim).
        dtype: element type of what indexing returns.
        nbytes: the bytes of all rows.
    """

    def __init__(
        self, shape: tuple[int, int], dtype: npt.DTypeLike, read: Callable[[Any], npt.NDArray[Any]]
    ) -> None:
        self.shape: tuple[int, ...] = shape
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.nbytes = shape[0] * shape[1] * self.dtype.itemsize
        self._read = read

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any, /) -> npt.NDArray[Any]:
        """Return the rows (..., dim) of a slice, a list or an integer array (...)."""
        return self._read(index)


def rows_of_file(path: Path, offset: int, shape: tuple[int, int], dtype: npt.DTypeLike) -> Rows:
    """Return the rows of a table that stays in its file.

    The pages of a mapping that were read count as memory of the process, so each read has a mapping of its
    own, which lasts as long as the rows.

    Raises:
        SourceError: at a read, if the file is not the one that it was.
    """
    stamp = _stamp(path)

    def read(index: Any) -> npt.NDArray[Any]:
        table = np.asarray(np.memmap(path, dtype, "r", offset, shape))
        if _stamp(path) != stamp:
            raise SourceError(f"{path}: was changed while it was read; export again")
        return np.asarray(table[index])

    return Rows(shape, dtype, read)


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def convert(rows: RowReader, dtype: npt.DTypeLike, dim: int | None = None) -> RowReader:
    """Return the first `dim` dimensions of rows, or all if None, in another type: converted when read.

    Values beyond the type become infinite.
    """
    if rows.dtype == dtype and dim in (None, rows.shape[1]):
        return rows

    def read(index: Any) -> npt.NDArray[Any]:
        with np.errstate(over="ignore"):
            return np.asarray(rows[index][..., :dim].astype(dtype, copy=False))

    return Rows((len(rows), dim or rows.shape[1]), dtype, read)


def with_zero_row(rows: RowReader) -> Rows:
    """Return rows, to be read by slices, with a row of zeros after them."""

    def read(index: slice) -> npt.NDArray[Any]:
        found = rows[index]
        zeros = np.zeros((len(range(len(rows) + 1)[index]) - len(found), rows.shape[1]), rows.dtype)
        return np.concatenate([found, zeros]) if len(zeros) else np.asarray(found)

    return Rows((len(rows) + 1, rows.shape[1]), rows.dtype, read)


def chunks(count: int) -> Iterator[slice]:
    """Yield slices that together cover `count` rows."""
    for start in range(0, count, _CHUNK):
        yield slice(start, min(start + _CHUNK, count))


def same_rows(a: RowReader, b: RowReader) -> bool:
    """Return whether two tables have the same values."""
    if a is b:
        return True
    return a.shape == b.shape and all(np.array_equal(a[part], b[part]) for part in chunks(len(a)))
