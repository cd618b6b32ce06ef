"""int4 tables: 16 values, two a byte, and a scale for each block of 32.

    byte j of a block = 16 * q[j + 16] + q[j] + 8        int8; q from -8 to 7, of the block's 32 values

So a sum of weighted bytes, less 8, is the sum of the second values times 16 plus that of the first: only one
of the two must be taken out of the bytes before the sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from portvec_export._table.rows import Rows, chunks
from portvec_export._table.table import Table

# Values that share a scale. Cosine to float32 on the bundled model: 0.994 at the least.
BLOCK = 32
HALF = BLOCK // 2
# Block weights have two digits of this base. Digits stay below 128 for the reason that int8's row weights do.
BASE = 128
# Sums of up to this many products of a digit and a byte, less 8, fit into int32.
_MAX_INTEGER_SUM = (2**31 - 1) // (BASE * 136)
# Largest value of a block in steps: the 16 codes reach from -8 to 7, and the sign is not known.
_RANGE = 7.5
# A row whose largest block weighs less than this would lose too much to rounding: 1 / 32 of its norm.
_MIN_WEIGHT = 16


def table(
    embedding: Any,
    mapping: npt.NDArray[np.int64] | None,
    weights: npt.NDArray[np.float32] | None,
    max_length: int | None,
) -> Table:
    """Return the int4 table of `embedding` (rows, dim), with whole block weights where they serve."""
    count, dim = embedding.shape
    padded = -(-dim // BLOCK) * BLOCK
    steps = np.concatenate([np.abs(_blocks(embedding[part])).max(axis=2) for part in chunks(count)]) / _RANGE
    largest = float(steps.max())
    whole = weights is None and max_length is not None and max_length <= _MAX_INTEGER_SUM
    if whole:
        unit = float(np.float32(largest / (BASE * BASE - 1))) or 1.0
        factors = np.clip(np.rint(steps / unit), 0, BASE * BASE - 1)
        heaviest = factors.max(axis=1)
        whole = bool((heaviest[steps.any(axis=1)] >= _MIN_WEIGHT).all())
    if not whole:
        # Relative to the largest, so that float16 neither overflows nor loses blocks that matter; a power
        # of two, so that it makes no difference to rounding where the unit is applied.
        unit = float(2.0 ** np.ceil(np.log2(largest))) if largest > 0 else 1.0
        factors = (steps / unit).astype(np.float16)
    packed = np.full((count + 1, padded // 2), 8, dtype=np.int8)
    for part in chunks(count):
        packed[part] = _packed(embedding[part], (factors[part] * unit).astype(np.float32))

    exact = np.float64 if whole else np.float32

    # The unit last, as in the graph: float32 rounds differently otherwise.
    def read(index: Any) -> npt.NDArray[Any]:
        values = _unpacked(packed[:-1][index]).astype(exact) * factors[index].astype(exact)[..., None]
        flat = values.reshape(*values.shape[:-2], padded)[..., :dim]
        return np.asarray(flat * exact(unit))

    with_zero = np.concatenate([factors, np.zeros_like(factors[:1])])
    return Table(
        dim,
        packed,
        mapping,
        weights,
        decoded=Rows((count, dim), exact, read),
        block_weights=_digits(with_zero) if whole else None,
        scales=None if whole else with_zero,
        unit=unit,
    )


def _blocks(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return rows (n, dim) as (n, blocks, BLOCK), padded with zeros."""
    rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % BLOCK)))
    return rows.reshape(len(rows), -1, BLOCK)


def _packed(rows: npt.NDArray[np.float32], steps: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    """Return the bytes (n, padded dim / 2) of rows (n, dim) with these steps (n, blocks)."""
    divisors = np.where(steps == 0, np.float32(np.inf), steps)[:, :, None]
    codes = np.clip(np.rint(_blocks(rows) / divisors), -8, 7).astype(np.int8)
    return (codes[:, :, HALF:] * 16 + codes[:, :, :HALF] + 8).reshape(len(rows), -1)


def _unpacked(packed: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Return the codes (..., blocks, BLOCK) of bytes (..., blocks * HALF)."""
    in_blocks = packed.reshape(*packed.shape[:-1], -1, HALF)
    return np.concatenate([(in_blocks & 15) - 8, in_blocks >> 4], axis=-1)


def _digits(factors: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Return both digits (n, 2 * blocks) of whole factors (n, blocks), the high ones first."""
    return np.concatenate(np.divmod(factors, BASE), axis=1).astype(np.uint8)
