"""The layers after the mean, and those of a head, as nodes of a graph."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from portvec_export._graph.parts import add_norm
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._source.layers import Dense, DynamicTanh, Layer, UnitLength

_OPERATORS = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}


def add_layers(graph: Graph, layers: Sequence[Layer], vectors: Value, name: str = "layers") -> Value:
    """Pass vectors (batch, width) through layers, whose tensors are stored under `name`.

    Returns what they become, float32 (batch, dim).
    """
    value = vectors
    for index, layer in enumerate(layers):
        value = _add_layer(graph, layer, value, f"{name}.{index}")
    return value


def _add_layer(graph: Graph, layer: Layer, vectors: Value, name: str) -> Value:
    """Add the nodes of a layer, whose tensors are stored under `name`."""
    if isinstance(layer, Dense):
        return _add_dense(graph, layer, vectors, name)
    if isinstance(layer, UnitLength):
        norm = add_norm(graph, vectors)
        return graph.div(vectors, graph.maximum(norm, np.float32(layer.least)))
    return _add_dynamic_tanh(graph, layer, vectors, name)


def _add_dense(graph: Graph, layer: Dense, vectors: Value, name: str) -> Value:
    bias = {} if layer.bias is None else {"bias": layer.bias}
    linear = _add_linear(graph, vectors, name, weight=layer.weight, **bias)
    value = _add_activation(graph, layer.activation, linear)
    if layer.residual is None:
        return value
    return graph.add(value, _add_linear(graph, vectors, name, residual=layer.residual))


def _add_linear(graph: Graph, vectors: Value, name: str, **tensors: npt.NDArray[np.float32]) -> Value:
    """Multiply vectors (batch, inputs) by a weight (outputs, inputs), and add a bias (outputs,) if given."""
    stored = [graph.tensor(f"{name}.{kind}", array) for kind, array in tensors.items()]
    return graph.node("Gemm", vectors, *stored, transB=1)


def _add_activation(graph: Graph, activation: str, value: Value) -> Value:
    if activation == "identity":
        return value
    if activation != "gelu":
        return graph.node(_OPERATORS[activation], value)
    # The operator Gelu is newer than the oldest consumers.
    error = graph.node("Erf", graph.div(value, np.float32(math.sqrt(2))))
    return graph.mul(graph.mul(value, np.float32(0.5)), graph.add(error, np.float32(1)))


def _add_dynamic_tanh(graph: Graph, layer: DynamicTanh, vectors: Value, name: str) -> Value:
    alpha, bias, weight = (
        graph.tensor(f"{name}.{kind}", array)
        for kind, array in (("alpha", layer.alpha), ("bias", layer.bias), ("weight", layer.weight))
    )
    return graph.mul(graph.node("Tanh", graph.add(graph.mul(vectors, alpha), bias)), weight)
