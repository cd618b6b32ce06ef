"""Files of vectors: what all have in common, and .npy, which needs numpy alone."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from portvec.errors import FileError

if TYPE_CHECKING:
    import numpy.typing as npt

# Numbers that a block of vectors holds: 4 MB of float32.
BLOCK: Final = 1 << 20


class VectorFile(Protocol):
    """A file of vectors.

    Attributes:
        path: where it is.
    """

    path: Path

    def vectors(self, dim: int) -> Iterator[npt.NDArray[np.float32]]:
        """Yield blocks of rows, float32 (n, dim). A vector that is null is a row of zeros.

        Raises:
            FileError: the file cannot be read, or has vectors of another dimension.
        """

    def texts(self, rows: Sequence[int]) -> list[str | None]:
        """Return the texts of some rows, which ascend; None for each if the file has none.

        Raises:
            FileError: the file cannot be read.
        """


def check_readable(path: Path) -> None:
    """Check that a path is a file that can be opened, and no pipe, at which opening may wait forever.

    Raises:
        FileError: it is not.
    """
    try:
        if stat.S_ISREG(path.stat().st_mode):
            path.open("rb").close()
            return
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror or error})") from error
    raise FileError(f"{path}: cannot be read (not a regular file)")


class NpyFile:
    """A .npy array (n, dim), mapped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # Unlike numpy.load, it reads no other format, and unpickles nothing.
            self._array = np.lib.format.open_memmap(path, mode="r")
        except Exception as error:  # ValueError, and what the parser of the header raises
            raise FileError(f"{path}: not a .npy file of numbers ({error})") from error
        if self._array.ndim != 2 or self._array.dtype.kind != "f" or self._array.dtype.itemsize > 4:
            raise FileError(
                f"{path}: holds {self._array.dtype} of shape {self._array.shape}, expected float32 or "
                "float16 of shape (n, dim); convert it"
            )

    def vectors(self, dim: int) -> Iterator[npt.NDArray[np.float32]]:
        """Yield blocks of rows."""
        check_dim(self.path, self._array.shape[1], dim)
        step = max(1, BLOCK // dim)
        for start in range(0, len(self._array), step):
            yield np.ascontiguousarray(self._array[start : start + step], dtype=np.float32)

    def texts(self, rows: Sequence[int]) -> list[str | None]:
        """Return None for each: the file has no texts."""
        return [None] * len(rows)


def check_dim(path: Path, found: int, dim: int) -> None:
    """Check that vectors have the model's dimension.

    Raises:
        FileError: they do not.
    """
    if found != dim:
        raise FileError(
            f"{path}: holds vectors of dimension {found}, and the model's have {dim}; give the model that "
            "made them"
        )
