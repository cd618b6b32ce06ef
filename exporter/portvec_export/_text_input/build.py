"""The graph with text input: characters -> ids -> vectors."""

from __future__ import annotations

import numpy as np
from tokenizers import Tokenizer

from portvec._artifact import format as fmt
from portvec_export._graph.outputs import add_embedding, add_embedding_output, add_head_outputs
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._source.head import HeadLayers
from portvec_export._source.rules import Rules
from portvec_export._table.table import Table
from portvec_export._text_input.arrays.flat import OPSET
from portvec_export._text_input.assemble import add_tokenizer
from portvec_export._text_input.code_points import add_code_points
from portvec_export._text_input.limits import pool_ids
from portvec_export._text_input.pooling import add_counts, add_padded_ids, add_sums


def build_text_graph(
    kind: str, tokenizer: Tokenizer, table: Table, rules: Rules, head: HeadLayers | None
) -> Graph:
    """Return a graph that takes texts as `kind` says, which is a key of `fmt.TEXT_GRAPHS`.

    Its outputs are input_ids and sentence_embedding, and those of the head if there is one.

    Raises:
        NotExpressible: the tokenizer has something that the graph cannot do exactly.
    """
    graph = Graph(OPSET)
    matrix = _add_input(graph, kind)
    ids = add_tokenizer(graph, matrix, tokenizer, rules.max_characters)
    pooled = pool_ids(graph, ids, rules.max_length, rules.unk_id)
    total = add_sums(graph, pooled, table)
    embedding = add_embedding(graph, total, add_counts(graph, pooled), rules)
    add_embedding_output(graph, embedding, rules, table.dim)
    if head is not None:
        add_head_outputs(graph, embedding, head)
    graph.output(fmt.INPUT_IDS, add_padded_ids(graph, pooled), np.int64, ["batch_size", "length"])
    return graph


def _add_input(graph: Graph, kind: str) -> Value:
    """Declare the input, and return the code points, int32 (texts, length), padded with -1."""
    name = fmt.TEXT_INPUTS[kind]
    if kind == fmt.STRINGS:
        return add_code_points(graph, graph.input(name, np.object_, ["batch_size"]))
    return graph.input(name, np.int32, ["batch_size", "characters"])
