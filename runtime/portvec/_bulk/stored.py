"""Searching in vectors that are stored in files: .npy, and Parquet and Arrow with their texts."""

from __future__ import annotations

import stat
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from portvec._bulk.search import Hit, Ranking
from portvec._embedder import StaticEmbedder
from portvec._failures import failures_become
from portvec._messages import install
from portvec.errors import FileError, MissingExtraError, OptionError

if TYPE_CHECKING:
    import numpy.typing as npt

# Numbers that a block of vectors holds: 4 MB of float32.
BLOCK = 1 << 20
_COLUMNS = (".parquet", ".arrow")


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


def search_stored(
    embedder: StaticEmbedder,
    path: Path,
    query: str,
    k: int,
    *,
    field: str | None = None,
    vector_field: str | None = None,
    texts: Iterable[str] | None = None,
) -> list[Hit]:
    """Return the `k` rows whose stored vectors are nearest to `query` by cosine, the nearest first.

    Vectors are compared exactly, in blocks: memory does not grow with the file. Ties keep the order of the
    rows. A vector that is null or zero has no direction, and scores 0.

    Args:
        embedder: the model that made the vectors.
        path: a file .npy, .parquet or .arrow (a file or a stream), or a folder of .parquet and .arrow files,
            whose rows follow each other in the order of their paths. Vectors are float32 or float16.
        query: the text to search for.
        k: how many rows to return.
        field: the column of texts. By default, the one that the file names, or "text" if there is one.
        vector_field: the column of vectors. By default, the one that the file names, or "embedding".
        texts: the text of each row, from elsewhere.

    Raises:
        FileError: a file cannot be read, holds something else than vectors, has vectors of another dimension
            or from another model, lacks a column, or has another number of rows than `texts`.
        OptionError: a column is named for a .npy file.
        MissingExtraError: the file needs pyarrow, which is not installed.
    """
    ranking = Ranking(embedder.encode([query])[0], k)
    files, starts = [], []
    for file in _open(embedder, path, None if texts is not None else field, vector_field):
        files.append(file)
        starts.append(ranking.count)
        for rows in file.vectors(embedder.dim):
            bad = ranking.add(rows)
            if bad is not None:
                row = ranking.count + bad - starts[-1]
                raise FileError(
                    f"{file.path}, row {row}: the vector holds NaN or infinity; correct it, or embed the "
                    "text again"
                )
    positions = sorted(position for _, position in ranking.best)
    if texts is not None:
        found = _pick(texts, positions, ranking.count, path)
    else:
        wanted: dict[int, list[int]] = {}
        for position in positions:
            index = bisect_right(starts, position) - 1
            wanted.setdefault(index, []).append(position - starts[index])
        found = {
            starts[index] + row: text
            for index, rows in wanted.items()
            for row, text in zip(rows, files[index].texts(rows), strict=True)
        }
    return [Hit(score, position, found[position]) for score, position in ranking.best]


def _open(
    embedder: StaticEmbedder, path: Path, field: str | None, vector_field: str | None
) -> Iterator[VectorFile]:
    """Yield the file, or those of a folder."""
    is_folder = path.is_dir()
    if not is_folder:
        check_readable(path)
    if not is_folder and path.suffix.lower() == ".npy":
        for name, value in (("field", field), ("vector_field", vector_field)):
            if value is not None:
                raise OptionError(f"{path}: a .npy file has no columns; leave out {name}={value!r}")
        yield NpyFile(path)
        return
    if not is_folder and path.suffix.lower() not in _COLUMNS:
        raise FileError(f"{path}: unknown suffix for vectors, expected .npy, .parquet or .arrow, or a folder")
    try:
        from portvec._bulk.columns import open_columns
    except ImportError as error:
        raise MissingExtraError(
            f"{path}: needs pyarrow, which cannot be imported ({error}); {install('bulk')}"
        ) from error
    for file in _list(path) if is_folder else [path]:
        check_readable(file)
        yield open_columns(embedder, file, field, vector_field)


def _list(folder: Path) -> list[Path]:
    """Return the files of a folder and of those in it, without what engines put beside their data."""
    with failures_become(lambda reason: FileError(f"{folder}: cannot be read ({reason})")):
        files = [
            path
            for path in sorted(folder.rglob("*"))
            if path.suffix.lower() in _COLUMNS
            and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
        ]
    if not files:
        raise FileError(f"{folder}: has no .parquet or .arrow file; give another folder, or a file")
    return files


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


def _pick(texts: Iterable[str], positions: list[int], count: int, path: Path) -> dict[int, str | None]:
    """Return the texts at some positions, after counting all."""
    wanted = set(positions)
    found: dict[int, str | None] = {}
    number = 0
    for position, text in enumerate(texts):
        if position in wanted:
            found[position] = text
        number = position + 1
    if number != count:
        raise FileError(
            f"{path}: holds {count:,} vectors, but there are {number:,} texts; give the texts that were "
            "embedded, in their order"
        )
    return found
