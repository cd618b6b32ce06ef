"""Choosing the writer for a file by its suffix."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from portvec._bulk.outputs.jsonl import JsonlWriter
from portvec._bulk.outputs.npy import NpyWriter
from portvec._bulk.outputs.writer import OpenWriter
from portvec._bulk.provenance import Provenance
from portvec._messages import install
from portvec.errors import FileError, MissingExtraError

if TYPE_CHECKING:
    from portvec._bulk.arrow import VectorType
    from portvec._bulk.sources.source import Source

SUFFIXES = (".npy", ".jsonl", ".parquet", ".arrow")


def check_suffix(path: Path) -> str:
    """Return the suffix of an output.

    Raises:
        FileError: it is not one of `SUFFIXES`.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise FileError(f"{path}: unknown suffix for embeddings, expected one of {', '.join(SUFFIXES)}")
    return suffix


def find_writer(
    path: Path, source: Source, dim: int, provenance: Provenance, *, dtype: VectorType, fixed_size: bool
) -> OpenWriter:
    """Return what opens the writer for `path`. For a format with types, that may read the whole source.

    Raises:
        FileError: the suffix is unknown, or the rows of the source have no common schema.
        MissingExtraError: the format needs the extra `bulk`, which is not installed.
    """
    suffix = check_suffix(path)
    if suffix == ".npy":
        return partial(NpyWriter, dim=dim, dtype=dtype)
    if suffix == ".jsonl":
        return partial(JsonlWriter, embedding=provenance.embedding, dtype=dtype)
    try:
        from portvec._bulk.outputs.tables import Columns
    except ImportError as error:
        raise MissingExtraError(f"{path}: Parquet and Arrow files need pyarrow; {install('bulk')}") from error
    columns = Columns(
        source.schema(),
        dim,
        provenance,
        dtype=dtype,
        fixed_size=fixed_size,
        dictionaries=suffix == ".parquet",  # an Arrow file has one dictionary a column, not one a batch
    )
    if suffix == ".parquet":
        from portvec._bulk.outputs.parquet import ParquetWriter

        return partial(ParquetWriter, columns=columns)
    from portvec._bulk.outputs.ipc import IpcWriter

    return partial(IpcWriter, columns=columns)
