"""Searching in vectors that are stored in files: .npy, and Parquet and Arrow with their texts."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path

from portvec._bulk.provenance import Provenance
from portvec._bulk.search import Hit, Ranking
from portvec._bulk.vectors import NpyFile, VectorFile, check_readable
from portvec._embedder import StaticEmbedder
from portvec._failures import failures_become
from portvec._messages import install
from portvec.errors import FileError, MissingExtraError, OptionError

_COLUMNS = (".parquet", ".arrow")


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
    ranking = Ranking(embedder.encode_queries([query])[0], k)
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
        from portvec._bulk.vector_columns import VectorColumns
    except ImportError as error:
        raise MissingExtraError(
            f"{path}: needs pyarrow, which cannot be imported ({error}); {install('bulk')}"
        ) from error
    made: set[Provenance] = set()
    for part in _list(path) if is_folder else [path]:
        check_readable(part)
        file = VectorColumns(part, field, vector_field)
        if file.made is not None and file.made not in made:
            made.add(file.made)
            _check_model(embedder, part, file.made)
        yield file


def _check_model(embedder: StaticEmbedder, path: Path, made: Provenance) -> None:
    """Refuse vectors of another model, and warn of those from another export of this one."""
    given = Provenance.of(embedder, made.text, made.embedding)
    if made.manifest_sha256 == given.manifest_sha256:
        return
    if made.model != given.model:
        raise FileError(
            f"{path}: its vectors are from {made.model} (manifest {made.manifest_sha256[:12]}), which is not "
            f"the model given, {given.model} (manifest {given.manifest_sha256[:12]}); give that model, or "
            "embed the texts again"
        )
    logging.getLogger("portvec").warning(
        "%s: its vectors are from another export of %s, with the manifest %s; scores may differ if it was "
        "exported with other options",
        path,
        made.model,
        made.manifest_sha256[:12],
    )


def _list(folder: Path) -> list[Path]:
    """Return the files of a folder and of those in it, without what engines put beside their data."""
    with failures_become(lambda reason: FileError(f"{folder}: cannot be read ({reason})")):
        files = [
            path
            for path in sorted(folder.rglob("*"))
            if path.suffix.lower() in _COLUMNS
            and not path.is_dir()
            and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
        ]
    if not files:
        raise FileError(f"{folder}: has no .parquet or .arrow file; give another folder, or a file")
    return files


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
