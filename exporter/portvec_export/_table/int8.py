"""int8 tables: a scale for each row."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from portvec_export._table.rows import Rows, chunks
from portvec_export._table.table import Table

# Sums of up to this many products of a row weight (128 at most) and a value (127) fit into int32.
_MAX_INTEGER_SUM = (2**31 - 1) // (128 * 127)

# Whole row weights serve rows whose largest values differ up to about a thousandfold. A table in which a
# row would lose more than this part of its norm gets float scales, which take longer.
_MAX_ROW_ERROR = 0.1


def table(
    embedding: Any,
    mapping: npt.NDArray[np.int64] | None,
    weights: npt.NDArray[np.float32] | None,
    max_length: int | None,
) -> Table:
    """Return the int8 table of `embedding` (rows, dim), with whole row weights where they serve."""
    parts = chunks(len(embedding))
    largest = np.concatenate([np.abs(embedding[part]).max(axis=1) for part in parts])
    if weights is None and max_length is not None and max_length <= _MAX_INTEGER_SUM:
        whole = _whole_weights(embedding, largest, mapping)
        if whole is not None:
            return whole
    return _float_scales(embedding, largest, mapping, weights)


def _whole_weights(
    embedding: Any, largest: npt.NDArray[np.float32], mapping: npt.NDArray[np.int64] | None
) -> Table | None:
    """Row v is unit * a[v] * q[v], with whole a from 1 to 128 and q from -127 to 127.

    Sums of a * q are exact in int32 and need no widening of the gathered rows. a stays at 128 because
    processors without dot-product instructions add pairs of products in 16 bits: 2 * 128 * 127 fits.

    Returns:
        None if a row would lose more than `_MAX_ROW_ERROR`.
    """
    count, dim = embedding.shape
    steps = largest.astype(np.float64) / 127
    unit = float(steps.max() / 128) or 1.0
    factors = np.clip(np.ceil(steps / unit), 1, 128)
    values = np.zeros((count + 1, dim), dtype=np.int8)
    stored_unit = float(np.float32(unit))
    for part in chunks(count):
        exact = embedding[part]
        step = factors[part, None]
        values[part] = np.clip(np.rint(exact / (step * unit)), -127, 127)
        norms = np.linalg.norm(exact.astype(np.float64), axis=1)
        lost = np.linalg.norm(values[part] * (step * stored_unit) - exact, axis=1)
        if (lost > _MAX_ROW_ERROR * np.where(norms > 0, norms, 1)).any():
            return None
    row_weights = np.append(factors, 0).astype(np.uint8)

    def read(index: Any) -> npt.NDArray[np.float64]:
        weight = row_weights[:-1][index].astype(np.float64)
        return np.asarray(values[:-1][index] * weight[..., None] * stored_unit)

    return Table(
        dim,
        values,
        mapping,
        None,
        decoded=Rows((count, dim), np.float64, read),
        row_weights=row_weights,
        unit=stored_unit,
    )


def _float_scales(
    embedding: Any,
    largest: npt.NDArray[np.float32],
    mapping: npt.NDArray[np.int64] | None,
    weights: npt.NDArray[np.float32] | None,
) -> Table:
    """Row v is scale[v] * q[v]: for token weights of any size, and sums that int32 might not hold."""
    count, dim = embedding.shape
    scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    values = np.zeros((count + 1, dim), dtype=np.int8)
    for part in chunks(count):
        values[part] = np.clip(np.rint(embedding[part] / scales[part, None]), -127, 127)
    by_id = np.append(scales, np.float32(0))
    if mapping is not None:
        by_id = by_id[mapping]
    return Table(
        dim,
        values,
        mapping,
        by_id if weights is None else by_id * weights,
        decoded=Rows((count, dim), np.float32, lambda index: values[:-1][index] * scales[index][..., None]),
    )
