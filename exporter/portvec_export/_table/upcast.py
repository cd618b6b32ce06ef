"""A table whose rows are converted to float32 once they are gathered, then weighted and summed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portvec._artifact import format as fmt
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._source.rows import RowReader
from portvec_export._table.table import PaddedIds
from portvec_export._table.vocabulary import Vocabulary


@dataclass(frozen=True)
class UpcastTable:
    """Row v stands for weight[v] * vectors[v].

    Attributes:
        vectors: (rows + 1, dim) of any type; the last row is zero.
        vocabulary: the token ids and their weights.
        dequantized: float32 (rows, dim).
    """

    vectors: RowReader
    vocabulary: Vocabulary
    dequantized: RowReader

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.vectors.shape[1])

    def add_sum(self, graph: Graph, ids: PaddedIds) -> Value:
        """Sum over the first axis, where onnxruntime adds one position after the other, as model2vec does.

        Over the middle axis onnxruntime regroups: closer to the real sum, but up to 3e-6 from model2vec's
        on long texts that repeat themselves.
        """
        vectors = graph.tensor(fmt.VECTORS, self.vectors)
        positions = ids.by_position(graph)
        gathered = graph.gather(vectors, self.vocabulary.add_rows(graph, positions))
        if self.vectors.dtype != np.float32:
            gathered = graph.cast(gathered, np.float32)
        return graph.reduce_sum(self.vocabulary.add_weights(graph, positions, gathered), axis=0)
