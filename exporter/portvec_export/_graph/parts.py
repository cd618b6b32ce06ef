"""What the graphs have in common, after the sum of the token vectors."""

from __future__ import annotations

import numpy as np

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._source.head import HeadLayers


def add_unit_length(graph: Graph, vectors: Value) -> Value:
    """Divide vectors (batch, dim) by (their norm + 1e-32), as model2vec 0.10 does: zero stays zero.

    onnxruntime's ReduceL2 is off by three times as much: it adds the squares one after the other.
    """
    norm = graph.node("Sqrt", graph.reduce_sum(graph.mul(vectors, vectors), axis=1, keepdims=True))
    return graph.div(vectors, graph.add(norm, np.float32(1e-32)))


def add_logits(graph: Graph, head: HeadLayers, embeddings: Value) -> Value:
    """Pass embeddings (batch, dim) through the layers of a head, with ReLU between them."""
    value = embeddings
    for index, (weight, bias) in enumerate(head.layers):
        if index:
            value = graph.node("Relu", value)
        tensors = [
            graph.tensor(f"head.{index}.{name}", array)
            for name, array in (("weight", weight), ("bias", bias))
        ]
        value = graph.node("Gemm", value, *tensors, transB=1)
    return value
