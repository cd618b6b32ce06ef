"""What the dtypes have in common: a codec makes a table, and a table adds its nodes to a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from portvec._artifact import format as fmt
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._source.rows import RowReader
from portvec_export._source.vectors import TokenVectors
from portvec_export._table.vocabulary import Vocabulary


class Codec(Protocol):
    """A way to store a table, which the registry of dtypes names.

    Attributes:
        variant_graph: path of a graph with such a table beside the main one: where Transformers.js looks
            for it, or onnx/model_NAME.onnx if that has no name for the dtype.
    """

    variant_graph: ClassVar[str]

    def encode(self, vectors: TokenVectors, max_length: int | None) -> Table:
        """Return the table of some vectors, for texts of up to `max_length` tokens, or any if None.

        Raises:
            ExportError: the dtype cannot hold the values.
        """


class Table(Protocol):
    """A stored table."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The token ids, and how they map to rows."""

    @property
    def dequantized(self) -> RowReader:
        """The values that are stored, (rows, dim): what model2vec must be given to compute the same.

        In float64 where the graph sums exactly, else in float32.
        """

    def add_sum(self, graph: Graph, ids: PaddedIds) -> Value:
        """Add the nodes that sum the vectors of each text; return their result, float32 (batch, dim)."""


@dataclass(frozen=True)
class PaddedIds:
    """Token ids in a graph, padded with a table's `vocabulary.zero_id`.

    Attributes:
        ids: integers (length, batch) if `position_first`, else (batch, length).
        position_first: the order of their axes.
        count: float32 (batch, 1), tokens of each text; None where the length is never zero.
    """

    ids: Value
    position_first: bool
    count: Value | None = None

    def by_position(self, graph: Graph) -> Value:
        """Return the ids as (length, batch)."""
        return self.ids if self.position_first else graph.transpose(self.ids, 1, 0)

    def by_text(self, graph: Graph) -> Value:
        """Return the ids as (batch, length)."""
        return graph.transpose(self.ids, 1, 0) if self.position_first else self.ids


def scale_or_zero(graph: Graph, scale: np.float32 | npt.NDArray[np.float32], count: Value | None) -> Value:
    """Return the scale of integer sums, and zero for texts whose `count` of tokens, if it is given, is zero.

    If there are no positions, onnxruntime's MatMulInteger does not write its output at all.
    """
    value = graph.constant(scale, fmt.SCALE)
    return value if count is None else graph.mul(graph.minimum(count, np.float32(1)), value)
