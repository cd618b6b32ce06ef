"""What the graphs have in common, after the sum of the token vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._source.head import HeadLayers


def add_unit_length(graph: Graph, vectors: Value) -> Value:
    """Divide vectors (batch, dim) by (their norm + 1e-32), as model2vec 0.10 does: zero stays zero."""
    return graph.div(vectors, graph.add(add_norm(graph, vectors), np.float32(1e-32)))


def add_norm(graph: Graph, vectors: Value) -> Value:
    """Return the norms of vectors (batch, dim) as (batch, 1).

    onnxruntime's ReduceL2 is off by three times as much: it adds the squares one after the other.
    """
    return graph.node("Sqrt", graph.reduce_sum(graph.mul(vectors, vectors), axis=1, keepdims=True))


def add_logits(graph: Graph, head: HeadLayers, embeddings: Value) -> Value:
    """Pass embeddings (batch, dim) through the layers of a head, with ReLU between them."""
    value = embeddings
    for index, (weight, bias) in enumerate(head.layers):
        if index:
            value = graph.node("Relu", value)
        value = add_linear(graph, value, f"head.{index}", weight=weight, bias=bias)
    return value


def add_linear(graph: Graph, vectors: Value, name: str, **tensors: npt.NDArray[np.float32]) -> Value:
    """Multiply vectors (batch, inputs) by a weight (outputs, inputs), and add a bias (outputs,) if given.

    `tensors` are stored by the name of the layer and their own.
    """
    stored = [graph.tensor(f"{name}.{kind}", array) for kind, array in tensors.items()]
    return graph.node("Gemm", vectors, *stored, transB=1)
