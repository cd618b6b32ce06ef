"""int4 tables: codes from -8 to 7, two in a byte, and a scale for each block of 32 values.

    byte j of a block = 16 * q[j + 16] + q[j] + 8        int8; q from -8 to 7, of the block's 32 values

A sum of weighted bytes, each less 8, is thus 16 times the sum of the second values plus the sum of the first
ones: only one of the two must be unpacked before the sum. Bytes are split by DequantizeLinear and Cast, which
truncates: in onnxruntime, shifts take several times as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from portvec._artifact import format as fmt
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._source.rows import RowReader, Rows, chunks
from portvec_export._source.vectors import TokenVectors
from portvec_export._table.table import PaddedIds, Table, scale_or_zero
from portvec_export._table.vocabulary import Vocabulary

# Values that share a scale. Minimum cosine to float32 on the bundled model: 0.994.
BLOCK = 32
_HALF = BLOCK // 2
# Block weights have two digits of this base. Digits stay below 128 for the reason that int8's row weights do.
_BASE = 128
# Sums of up to this many products of a digit and a byte, less 8, fit into int32.
_MAX_INTEGER_SUM = (2**31 - 1) // (_BASE * 136)
# Largest value of a block in steps: the 16 codes reach from -8 to 7, and the sign is not known.
_RANGE = 7.5
# A row whose largest block weight is less than this would lose too much to rounding: 1 / 32 of its norm.
_MIN_WEIGHT = 16


class Int4Codec:
    """A seventh of float32's size."""

    variant_graph: ClassVar[str] = "onnx/model_q4.onnx"

    def encode(self, vectors: TokenVectors, max_length: int | None) -> Table:
        """Return a table with integer scales, or with float scales where integers lose too much."""
        rows = vectors.rows
        steps = np.concatenate([np.abs(_blocks(rows[part])).max(axis=2) for part in chunks(len(rows))])
        steps /= _RANGE
        if vectors.weights is None and max_length is not None and max_length <= _MAX_INTEGER_SUM:
            table = _with_integer_scales(vectors, steps)
            if table is not None:
                return table
        return _with_float_scales(vectors, steps)


@dataclass(frozen=True)
class Int4Table:
    """Block b of row v stands for scale * (128 * high[v, b] + low[v, b]) * codes[v, b].

    Attributes:
        dim: length of a vector.
        vectors: int8 (rows + 1, padded dim / 2), two codes a byte; the last row is zero.
        vocabulary: the token ids, without weights.
        block_weights: uint8 (rows + 1, 2 * blocks), the high digits of a row's blocks, then the low ones.
        scale: of all values.
    """

    dim: int
    vectors: npt.NDArray[np.int8]
    vocabulary: Vocabulary
    block_weights: npt.NDArray[np.uint8]
    scale: np.float32

    @property
    def dequantized(self) -> RowReader:
        """The stored values, float64 (rows, dim)."""

        def read(index: Any) -> npt.NDArray[Any]:
            high, low = np.split(self.block_weights[:-1][index].astype(np.float64), 2, axis=-1)
            return _dequantize(self.vectors[:-1][index], _BASE * high + low, float(self.scale), self.dim)

        return Rows((len(self.vectors) - 1, self.dim), np.float64, read)

    def add_sum(self, graph: Graph, ids: PaddedIds) -> Value:
        """Multiply block weights by gathered bytes as matrices, exactly in int32 but for the last addition.

        The weights of every block are multiplied by the bytes of all blocks, as one matrix multiplication:
        that takes less time than one for each block. Then the products of each block with itself are picked.
        """
        blocks = self.block_weights.shape[1] // 2
        vectors = graph.tensor(fmt.VECTORS, self.vectors)
        rows = self.vocabulary.add_rows(graph, ids.by_text(graph))
        packed = graph.gather(vectors, rows)
        second = graph.cast(_add_sixteenths(graph, packed), np.int8)
        weights = graph.gather(graph.tensor(fmt.BLOCK_WEIGHTS, self.block_weights), rows)
        digits = graph.transpose(weights, 0, 2, 1)
        own_pairs = np.array(
            [(digit * blocks + block) * blocks + block for digit in range(2) for block in range(blocks)],
            dtype=np.int64,
        )

        def sums_of(values: Value) -> Value:
            products = graph.node("MatMulInteger", digits, values, None, np.int8(8))
            pairs = graph.reshape(products, 0, 2 * blocks * blocks, _HALF)
            return graph.gather(pairs, own_pairs, axis=1)

        both_sums, second_sums = sums_of(packed), sums_of(second)
        first_sums = graph.sub(both_sums, graph.mul(second_sums, np.int32(16)))
        sums = graph.reshape(graph.concat(first_sums, second_sums, axis=2), 0, 2, blocks * BLOCK)
        count = None if ids.count is None else graph.unsqueeze(ids.count, 2)
        digit_scales = np.array([[[_BASE * self.scale], [self.scale]]], dtype=np.float32)
        scaled = graph.mul(graph.cast(sums, np.float32), scale_or_zero(graph, digit_scales, count))
        return graph.slice(graph.reduce_sum(scaled, axis=1), 0, self.dim, axis=1)


@dataclass(frozen=True)
class Int4FloatTable:
    """Block b of row v stands for scale * scales[v, b] * codes[v, b], times the weight of the token id.

    Attributes:
        dim: length of a vector.
        vectors: int8 (rows + 1, padded dim / 2), two codes a byte; the last row is zero.
        vocabulary: the token ids and their weights.
        scales: float16 (rows + 1, blocks).
        scale: of all values.
    """

    dim: int
    vectors: npt.NDArray[np.int8]
    vocabulary: Vocabulary
    scales: npt.NDArray[np.float16]
    scale: np.float32

    @property
    def dequantized(self) -> RowReader:
        """The stored values, float32 (rows, dim)."""

        def read(index: Any) -> npt.NDArray[Any]:
            scales = self.scales[:-1][index].astype(np.float32)
            return _dequantize(self.vectors[:-1][index], scales, self.scale, self.dim)

        return Rows((len(self.vectors) - 1, self.dim), np.float32, read)

    def add_sum(self, graph: Graph, ids: PaddedIds) -> Value:
        """Unpack the gathered rows, then sum them one position after the other."""
        blocks = self.scales.shape[1]
        vectors = graph.tensor(fmt.VECTORS, self.vectors)
        positions = ids.by_position(graph)
        rows = self.vocabulary.add_rows(graph, positions)
        sixteenths = _add_sixteenths(graph, graph.gather(vectors, rows))
        second = graph.node("Floor", sixteenths)
        first = graph.mul(graph.sub(sixteenths, second), np.float32(16))
        halves = [graph.reshape(codes, 0, 0, blocks, _HALF) for codes in (first, second)]
        codes = graph.sub(graph.concat(*halves, axis=3), np.float32(8))
        scales = graph.cast(graph.gather(graph.tensor(fmt.SCALES, self.scales), rows), np.float32)
        scaled = graph.reshape(graph.mul(codes, graph.unsqueeze(scales, 3)), 0, 0, blocks * BLOCK)
        total = graph.reduce_sum(self.vocabulary.add_weights(graph, positions, scaled), axis=0)
        scale = graph.constant(self.scale, fmt.SCALE)
        return graph.mul(graph.slice(total, 0, self.dim, axis=1), scale)


def _with_integer_scales(vectors: TokenVectors, steps: npt.NDArray[np.float32]) -> Int4Table | None:
    """Return a table with integer scales; None if a row would lose too much to their rounding."""
    largest = _BASE * _BASE - 1
    scale = np.float32(float(steps.max()) / largest) or np.float32(1)
    factors = np.clip(np.rint(steps / float(scale)), 0, largest)
    if (factors.max(axis=1)[steps.any(axis=1)] < _MIN_WEIGHT).any():
        return None
    packed = _pack(vectors.rows, (factors * float(scale)).astype(np.float32))
    with_zero = np.concatenate([factors, np.zeros_like(factors[:1])])
    block_weights = np.concatenate(np.divmod(with_zero, _BASE), axis=1).astype(np.uint8)
    return Int4Table(vectors.dim, packed, Vocabulary.of(vectors), block_weights, scale)


def _with_float_scales(vectors: TokenVectors, steps: npt.NDArray[np.float32]) -> Int4FloatTable:
    """Return a table for token weights of any size, and for sums that int32 might not hold."""
    # Relative to the largest, so that float16 neither overflows nor loses blocks that matter. A power of two
    # makes no difference to rounding wherever it is applied.
    largest = float(steps.max())
    scale = np.float32(2.0 ** np.ceil(np.log2(largest)) if largest > 0 else 1.0)
    scales = (steps / scale).astype(np.float16)
    packed = _pack(vectors.rows, scales.astype(np.float32) * scale)
    with_zero = np.concatenate([scales, np.zeros_like(scales[:1])])
    return Int4FloatTable(vectors.dim, packed, Vocabulary.of(vectors), with_zero, scale)


def _blocks(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return rows (n, dim) as (n, blocks, BLOCK), padded with zeros."""
    rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % BLOCK)))
    return rows.reshape(len(rows), -1, BLOCK)


def _pack(rows: RowReader, steps: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    """Return the bytes (n + 1, padded dim / 2) of rows (n, dim) and of a zero row.

    `steps` (n, blocks) are the distances between the values that the codes of a block can stand for.
    """
    count, blocks = steps.shape
    packed = np.full((count + 1, blocks * _HALF), 8, dtype=np.int8)
    for part in chunks(count):
        divisors = np.where(steps[part] == 0, np.float32(np.inf), steps[part])[:, :, None]
        codes = np.clip(np.rint(_blocks(rows[part]) / divisors), -8, 7).astype(np.int8)
        packed[part] = (codes[:, :, _HALF:] * 16 + codes[:, :, :_HALF] + 8).reshape(len(codes), -1)
    return packed


def _dequantize(
    packed: npt.NDArray[np.int8], factors: npt.NDArray[Any], scale: float | np.float32, dim: int
) -> npt.NDArray[Any]:
    """Return values (..., dim) of bytes (..., padded dim / 2) and factors (..., blocks), in their type.

    The scale comes last, as in the graph: float32 would round differently otherwise.
    """
    in_blocks = packed.reshape(*packed.shape[:-1], -1, _HALF)
    codes = np.concatenate([(in_blocks & 15) - 8, in_blocks >> 4], axis=-1)
    values = codes.astype(factors.dtype) * factors[..., None]
    return np.asarray(values.reshape(*values.shape[:-2], -1)[..., :dim] * scale)


def _add_sixteenths(graph: Graph, packed: Value) -> Value:
    """Add (byte + 128) / 16: the second code plus 8, and as a fraction sixteenths of the first one plus 8."""
    return graph.node("DequantizeLinear", packed, np.float32(1 / 16), np.int8(-128))
