"""The table of token vectors in each stored type, and what it decodes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from model2vec import StaticModel

from portvec.errors import ExportError

# Values that share a scale in int4. Cosine to float32 on the bundled model: 0.993 at the least.
INT4_BLOCK = 32
# Sums of up to this many products of a row weight (128 at most) and a value (127) fit into int32.
_MAX_INTEGER_SUM = (2**31 - 1) // (128 * 127)

# Whole row weights serve rows whose largest values differ up to about a thousandfold. A table in which a
# row would lose more than this part of its norm gets float scales, which take longer.
_MAX_ROW_ERROR = 0.1


@dataclass(frozen=True)
class Table:
    """The tensors that grow with the vocabulary of V token ids.

    Attributes:
        dim: length of an embedding.
        vectors: (rows + 1, dim) float32, float16 or int8; for int4 uint8 (rows + 1, padded dim / 2), two
            values a byte: value j of the first half in the low bits, j of the second half in the high
            ones, 8 added to each. The last row is zero.
        mapping: int64 (V + 1,), row of each token id, the last one the zero row; None if id = row.
        weights: float32 (V + 1,), factor of each token id; None if all are 1.
        scales: of int4, float16 (rows + 1, blocks), factor of each block.
        row_weights: of int8, uint8 (rows + 1,), whole factor of each row; None if `weights` has it.
        unit: factor of every value.
        decoded: (rows, dim) float32, or float64 where sums in the graph are exact: what model2vec must be
            given to compute the same.
    """

    dim: int
    vectors: npt.NDArray[Any]
    mapping: npt.NDArray[np.int64] | None
    weights: npt.NDArray[np.float32] | None
    decoded: npt.NDArray[Any]
    scales: npt.NDArray[np.float16] | None = None
    row_weights: npt.NDArray[np.uint8] | None = None
    unit: float = 1.0

    @property
    def zero_id(self) -> int:
        """The id past the vocabulary, whose row is zero."""
        return len(self.vectors if self.mapping is None else self.mapping) - 1

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return the tensors by their names in the graph."""
        named = {
            "vectors": self.vectors,
            "mapping": self.mapping,
            "weights": self.weights,
            "scales": self.scales,
            "row_weights": self.row_weights,
        }
        return {name: tensor for name, tensor in named.items() if tensor is not None}


def make_table(model: StaticModel, dtype: str) -> Table:
    """Return a model's float32 table in the given type.

    Raises:
        ExportError: the type cannot hold the table's values.
    """
    mapping = model.token_mapping
    zero_row = len(model.embedding)
    rows = None if mapping is None else np.append(mapping, zero_row).astype(np.int64)
    weights = None if model.weights is None else np.append(model.weights, 0.0).astype(np.float32)
    if dtype == "int4":
        return _int4(model.embedding, rows, weights)
    if dtype == "int8":
        longest = model.max_length
        if weights is None and longest is not None and longest <= _MAX_INTEGER_SUM:
            table = _int8_integer(model.embedding, rows)
            if _row_error(table.decoded, model.embedding) <= _MAX_ROW_ERROR:
                return table
        return _int8_scaled(model.embedding, rows, weights)
    return _float(model.embedding, np.dtype(dtype), rows, weights)


def _float(
    vectors: npt.NDArray[np.float32],
    dtype: np.dtype[Any],
    mapping: npt.NDArray[np.int64] | None,
    weights: npt.NDArray[np.float32] | None,
) -> Table:
    with np.errstate(over="ignore"):
        stored = _with_zero_row(vectors, dtype)
    if not np.isfinite(stored).all():
        raise ExportError(
            f"the table has values beyond {dtype} (up to {np.finfo(dtype).max:.4g}); choose float32"
        )
    return Table(vectors.shape[1], stored, mapping, weights, decoded=stored[:-1].astype(np.float32))


def _int8_integer(vectors: npt.NDArray[np.float32], mapping: npt.NDArray[np.int64] | None) -> Table:
    """Row v is unit * a[v] * q[v], with whole a from 1 to 128 and q from -127 to 127.

    Sums of a * q are exact in int32 and need no widening of the gathered rows. a stays at 128 because
    processors without dot-product instructions add pairs of products in 16 bits: 2 * 128 * 127 fits.
    """
    largest = np.abs(vectors).max(axis=1).astype(np.float64) / 127
    unit = float(largest.max() / 128) or 1.0
    row_weights = np.clip(np.ceil(largest / unit), 1, 128)
    values = np.clip(np.rint(vectors / (row_weights * unit)[:, None]), -127, 127)
    unit = float(np.float32(unit))
    return Table(
        vectors.shape[1],
        _with_zero_row(values, np.dtype(np.int8)),
        mapping,
        None,
        decoded=values * row_weights[:, None] * unit,
        row_weights=np.append(row_weights, 0).astype(np.uint8),
        unit=unit,
    )


def _row_error(decoded: npt.NDArray[np.float64], vectors: npt.NDArray[np.float32]) -> float:
    """Return the largest distance of a decoded row from the original, over the original's norm."""
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    distances = np.linalg.norm(decoded - vectors, axis=1)
    return float((distances / np.where(norms > 0, norms, 1)).max())


def _int8_scaled(
    vectors: npt.NDArray[np.float32],
    mapping: npt.NDArray[np.int64] | None,
    weights: npt.NDArray[np.float32] | None,
) -> Table:
    """Row v is scale[v] * q[v]: for token weights of any size, and sums that int32 might not hold."""
    largest = np.abs(vectors).max(axis=1)
    scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    values = np.clip(np.rint(vectors / scales[:, None]), -127, 127).astype(np.float32)
    by_id = np.append(scales, 0).astype(np.float32)
    if mapping is not None:
        by_id = by_id[mapping]
    return Table(
        vectors.shape[1],
        _with_zero_row(values, np.dtype(np.int8)),
        mapping,
        by_id if weights is None else by_id * weights,
        decoded=values * scales[:, None],
    )


def _int4(
    vectors: npt.NDArray[np.float32],
    mapping: npt.NDArray[np.int64] | None,
    weights: npt.NDArray[np.float32] | None,
) -> Table:
    """Each block of 32 values is unit * scale * (code - 8), with codes from 0 to 15.

    The value of largest magnitude gets code 0 whatever its sign, so that none of the 16 codes is lost.
    """
    rows, dim = vectors.shape
    blocks = -(-dim // INT4_BLOCK)
    padded = np.zeros((rows + 1, blocks, INT4_BLOCK), dtype=np.float32)
    padded.reshape(rows + 1, -1)[:rows, :dim] = vectors
    extreme = np.take_along_axis(padded, np.abs(padded).argmax(axis=2)[:, :, None], axis=2)[:, :, 0] / -8
    # Relative to the largest, so that float16 neither overflows nor loses blocks that matter; a power of
    # two, so that it makes no difference to rounding where the factor is applied.
    largest = float(np.abs(extreme).max())
    unit = 2.0 ** np.ceil(np.log2(largest)) if largest > 0 else 1.0
    scales = (extreme / unit).astype(np.float16)
    factors = scales.astype(np.float32)
    divisors = np.where(factors == 0, np.inf, factors * np.float32(unit))
    codes = np.clip(np.rint(padded / divisors[:, :, None]) + 8, 0, 15).astype(np.uint8)
    decoded = (codes.astype(np.float32) - 8) * factors[:, :, None]
    decoded = decoded.reshape(rows + 1, -1)[:rows, :dim] * np.float32(unit)
    flat = codes.reshape(rows + 1, -1)
    half = flat.shape[1] // 2
    packed = flat[:, :half] | flat[:, half:] << 4
    return Table(dim, packed, mapping, weights, decoded, scales=scales, unit=unit)


def _with_zero_row(values: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    stored = np.zeros((len(values) + 1, values.shape[1]), dtype=dtype)
    stored[:-1] = values
    return stored
