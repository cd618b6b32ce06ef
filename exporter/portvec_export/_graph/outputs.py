"""From the means of token vectors to the outputs of the graphs for other runtimes."""

from __future__ import annotations

import numpy as np

from portvec._artifact import format as fmt
from portvec_export._graph.layers import add_layers
from portvec_export._graph.parts import add_unit_length
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._source.head import HeadLayers
from portvec_export._source.layers import width_after
from portvec_export._source.rules import Rules

_ACTIVATIONS = {"softmax": "Softmax", "sigmoid": "Sigmoid", "identity": "Identity"}


def add_embedding(graph: Graph, total: Value, count: Value, rules: Rules) -> Value:
    """Return the embeddings, float32 (batch, dim).

    Args:
        graph: to add the nodes to.
        total: float32 (batch, table dim), the sum of each text's vectors.
        count: float32 (batch, 1), their number.
        rules: of the model.
    """
    embedding = graph.div(total, graph.maximum(count, np.float32(1)))
    if rules.normalize:
        embedding = add_unit_length(graph, embedding)
    return add_layers(graph, rules.layers, embedding)


def add_head_outputs(graph: Graph, embedding: Value, head: HeadLayers) -> None:
    """Declare the outputs of a head for embeddings (batch, dim)."""
    logits = add_layers(graph, head.as_layers(), embedding, "head")
    activation = head.facts.activation
    axes: list[str | int] = ["batch_size", head.facts.outputs]
    graph.output(fmt.LOGITS, logits, np.float32, axes)
    activated = graph.node(_ACTIVATIONS[activation], logits)
    graph.output(fmt.HEAD_OUTPUTS[activation], activated, np.float32, axes)


def add_embedding_output(graph: Graph, embedding: Value, rules: Rules, table_dim: int) -> None:
    """Declare the embeddings as output."""
    axes: list[str | int] = ["batch_size", width_after(rules.layers, table_dim)]
    graph.output(fmt.SENTENCE_EMBEDDING, embedding, np.float32, axes)
