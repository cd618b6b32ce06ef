"""How token ids map to the rows of a table, which is the same for all dtypes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from portvec._artifact import format as fmt
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._source.vectors import TokenVectors


@dataclass(frozen=True)
class Vocabulary:
    """V token ids, and the id V, which maps to the zero row at the end of a table.

    Attributes:
        size: V.
        mapping: int64 (V + 1,), row of each id; None if id = row.
        weights: float32 (V + 1,), factor of each id, 0 for the last one; None if all are 1.
    """

    size: int
    mapping: npt.NDArray[np.int64] | None
    weights: npt.NDArray[np.float32] | None

    @property
    def zero_id(self) -> int:
        """V: the id after the last token id, whose vector is zero."""
        return self.size

    @classmethod
    def of(cls, vectors: TokenVectors) -> Vocabulary:
        """Return the vocabulary of some vectors."""
        mapping, weights = vectors.mapping, vectors.weights
        return cls(
            vectors.vocabulary_size,
            None if mapping is None else np.append(mapping, len(vectors.rows)),
            None if weights is None else np.append(weights, np.float32(0)),
        )

    def add_rows(self, graph: Graph, ids: Value) -> Value:
        """Add the nodes that look up the row of each id."""
        return ids if self.mapping is None else graph.gather(graph.tensor(fmt.MAPPING, self.mapping), ids)

    def add_weights(self, graph: Graph, ids: Value, vectors: Value) -> Value:
        """Add the nodes that multiply the vectors (..., dim) of ids (...) by the weights of the ids."""
        if self.weights is None:
            return vectors
        weights = graph.gather(graph.tensor(fmt.WEIGHTS, self.weights), ids)
        return graph.mul(vectors, graph.unsqueeze(weights, 2))
