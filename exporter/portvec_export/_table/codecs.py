"""From a model's vectors to the table that is stored, in each type."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from model2vec import StaticModel

from portvec.errors import ExportError
from portvec_export._table import int4 as _int4
from portvec_export._table import int8 as _int8
from portvec_export._table.rows import chunks, widened
from portvec_export._table.table import Table


def make_table(model: StaticModel, dtype: str) -> Table:
    """Return a model's float32 table in the given type.

    Raises:
        ExportError: the type cannot hold the table's values.
    """
    embedding: Any = model.embedding
    mapping = model.token_mapping
    rows = None if mapping is None else np.append(mapping, len(embedding)).astype(np.int64)
    weights = None if model.weights is None else np.append(model.weights, 0.0).astype(np.float32)
    if dtype == "int4":
        return _int4.table(embedding, rows, weights, model.max_length)
    if dtype == "int8":
        return _int8.table(embedding, rows, weights, model.max_length)
    stored = _stored(embedding, np.dtype(dtype))
    return Table(embedding.shape[1], stored, rows, weights, decoded=widened(stored[:-1]))


def _stored(embedding: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return (rows + 1, dim) in a floating-point type, the last row zero."""
    count, dim = embedding.shape
    stored = np.empty((count + 1, dim), dtype=dtype)
    stored[-1] = 0
    for part in chunks(count):
        with np.errstate(over="ignore"):
            stored[part] = embedding[part]
        if not np.isfinite(stored[part]).all():
            raise ExportError(
                f"the table has values beyond {dtype} (up to {np.finfo(dtype).max:.4g}); choose float32"
            )
    return stored
