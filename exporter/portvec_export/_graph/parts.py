"""What the graphs have in common, after the sum of the token vectors."""

from __future__ import annotations

import numpy as np

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value


def add_unit_length(graph: Graph, vectors: Value) -> Value:
    """Divide vectors (batch, dim) by (their norm + 1e-32), as model2vec 0.10 does: zero stays zero."""
    return graph.div(vectors, graph.add(add_norm(graph, vectors), np.float32(1e-32)))


def add_norm(graph: Graph, vectors: Value) -> Value:
    """Return the norms of vectors (batch, dim) as (batch, 1).

    onnxruntime's ReduceL2 is off by three times as much: it adds the squares one after the other.
    """
    return graph.node("Sqrt", graph.reduce_sum(graph.mul(vectors, vectors), axis=1, keepdims=True))
