"""The codec of each dtype, as the registry in `portvec._artifact.dtypes` names it."""

from __future__ import annotations

from importlib import import_module

import numpy as np

from portvec._artifact.dtypes import DTYPES
from portvec.errors import ExportError
from portvec_export._source.rows import chunks
from portvec_export._source.vectors import TokenVectors
from portvec_export._table.table import Codec, Table

# Part of a row's norm that any type may lose. int4 loses a third at worst, unless the row is too small.
_MAX_LOST = 0.5


def codec_for(dtype: str) -> Codec:
    """Return the codec of a known dtype."""
    module, name = DTYPES[dtype].codec.split(":")
    codec: Codec = getattr(import_module(module), name)()
    return codec


def encode_table(dtype: str, vectors: TokenVectors, max_length: int | None) -> Table:
    """Return the table of some vectors, for texts of up to `max_length` tokens, or any if None.

    Raises:
        ExportError: the dtype cannot hold the values, or little is left of a vector.
    """
    table = codec_for(dtype).encode(vectors, max_length)
    for part in chunks(len(vectors.rows)):
        exact = vectors.rows[part].astype(np.float64)
        norms = np.linalg.norm(exact, axis=1)
        lost = np.linalg.norm(table.dequantized[part] - exact, axis=1)
        wrong = np.flatnonzero(~(lost <= _MAX_LOST * norms))
        if len(wrong):
            raise ExportError(
                f"dtype={dtype!r} loses row {part.start + wrong[0]} of the table, whose norm is only "
                f"{norms[wrong[0]]:.1e}; choose dtype='float32'"
            )
    return table
