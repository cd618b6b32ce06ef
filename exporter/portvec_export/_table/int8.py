"""int8 tables: a scale for each row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from portvec._artifact import format as fmt
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._source.rows import RowReader, Rows, chunks
from portvec_export._source.vectors import TokenVectors
from portvec_export._table.table import PaddedIds, Table, scale_or_zero
from portvec_export._table.upcast import UpcastTable
from portvec_export._table.vocabulary import Vocabulary

# Sums of up to this many products of a row weight (128 at most) and a value (127) fit into int32.
_MAX_INTEGER_SUM = (2**31 - 1) // (128 * 127)

# Integer scales suit rows whose largest values differ by up to about a thousandfold. A table in which a
# row would lose more than this part of its norm gets float scales, which take longer.
_MAX_ROW_ERROR = 0.1


class Int8Codec:
    """A quarter of float32's size."""

    variant_graph: ClassVar[str] = "onnx/model_quantized.onnx"

    def encode(self, vectors: TokenVectors, max_length: int | None) -> Table:
        """Return a table with integer scales, or with float scales where integers lose too much."""
        rows = vectors.rows
        largest = np.concatenate([np.abs(rows[part]).max(axis=1) for part in chunks(len(rows))])
        if vectors.weights is None and max_length is not None and max_length <= _MAX_INTEGER_SUM:
            table = _with_integer_scales(vectors, largest)
            if table is not None:
                return table
        return _with_float_scales(vectors, largest)


@dataclass(frozen=True)
class Int8Table:
    """Row v stands for scale * row_weights[v] * vectors[v].

    Attributes:
        vectors: int8 (rows + 1, dim), from -127 to 127; the last row is zero.
        vocabulary: the token ids, without weights.
        row_weights: uint8 (rows + 1,), from 1 to 128, and 0 for the last row.
        scale: of all values.
    """

    vectors: npt.NDArray[np.int8]
    vocabulary: Vocabulary
    row_weights: npt.NDArray[np.uint8]
    scale: np.float32

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.vectors.shape[1])

    @property
    def dequantized(self) -> RowReader:
        """The stored values, float64 (rows, dim)."""

        def read(index: Any) -> npt.NDArray[np.float64]:
            weights = self.row_weights[:-1][index].astype(np.float64)
            return np.asarray(self.vectors[:-1][index] * weights[..., None] * float(self.scale))

        return Rows((len(self.vectors) - 1, self.dim), np.float64, read)

    def add_sum(self, graph: Graph, ids: PaddedIds) -> Value:
        """Multiply row weights by gathered rows as matrices: exact in int32, and without upcasting rows."""
        vectors = graph.tensor(fmt.VECTORS, self.vectors)
        rows = self.vocabulary.add_rows(graph, ids.by_text(graph))
        values = graph.gather(vectors, rows)
        weights = graph.gather(graph.tensor(fmt.ROW_WEIGHTS, self.row_weights), rows)
        products = graph.node("MatMulInteger", graph.unsqueeze(weights, 1), values)
        sums = graph.cast(graph.squeeze(products, 1), np.float32)
        return graph.mul(sums, scale_or_zero(graph, self.scale, ids.count))


def _with_integer_scales(vectors: TokenVectors, largest: npt.NDArray[np.float32]) -> Int8Table | None:
    """Return a table with integer scales; None if a row would lose more than `_MAX_ROW_ERROR`.

    Row weights are at most 128, because processors without dot-product instructions add pairs of products
    in 16 bits: 2 * 128 * 127 fits.
    """
    count, dim = vectors.rows.shape
    steps = largest.astype(np.float64) / 127
    scale = float(steps.max() / 128) or 1.0
    factors = np.clip(np.ceil(steps / scale), 1, 128)
    values = np.zeros((count + 1, dim), dtype=np.int8)
    stored_scale = np.float32(scale)
    for part in chunks(count):
        exact = vectors.rows[part]
        step = factors[part, None]
        values[part] = np.clip(np.rint(exact / (step * scale)), -127, 127)
        norms = np.linalg.norm(exact.astype(np.float64), axis=1)
        lost = np.linalg.norm(values[part] * (step * float(stored_scale)) - exact, axis=1)
        if (lost > _MAX_ROW_ERROR * np.where(norms > 0, norms, 1)).any():
            return None
    row_weights = np.append(factors, 0).astype(np.uint8)
    return Int8Table(values, Vocabulary.of(vectors), row_weights, stored_scale)


def _with_float_scales(vectors: TokenVectors, largest: npt.NDArray[np.float32]) -> UpcastTable:
    """Return a table for token weights of any size, and for sums that int32 might not hold.

    The scale of a row is part of the weight of each token id that leads to it.
    """
    count, dim = vectors.rows.shape
    scales = (largest / 127).astype(np.float32)
    scales[scales == 0] = 1
    values = np.zeros((count + 1, dim), dtype=np.int8)
    for part in chunks(count):
        values[part] = np.clip(np.rint(vectors.rows[part] / scales[part, None]), -127, 127)
    vocabulary = Vocabulary.of(vectors)
    weights = np.append(scales, np.float32(0))
    if vocabulary.mapping is not None:
        weights = weights[vocabulary.mapping]
    if vocabulary.weights is not None:
        weights = weights * vocabulary.weights
    dequantized = Rows((count, dim), np.float32, lambda index: values[:-1][index] * scales[index][..., None])
    return UpcastTable(values, replace(vocabulary, weights=weights), dequantized)
