"""The graph for other runtimes. Its inputs are token ids and an attention mask, as in transformers.

    dropped = attention_mask == 0 or input_ids == unk      those tokens take the extra zero row
    mean    = sum of the rows / max(number of tokens not dropped, 1)
    output  = mean / (norm of mean + 1e-32) if the model normalizes, then the layers if there are any
    logits  = layers of a pipeline's head, with ReLU between them

Dropping ids costs less than multiplying (batch, length, dim) by a mask, and adds exact zeros.
"""

from __future__ import annotations

import numpy as np

from portvec._artifact import format as fmt
from portvec_export._graph.outputs import add_embedding, add_embedding_output, add_head_outputs
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._source.head import HeadLayers
from portvec_export._source.layers import width_after
from portvec_export._source.rules import Rules
from portvec_export._table.table import PaddedIds, Table


def build_public_graph(
    table: Table, rules: Rules, head: HeadLayers | None, *, token_type_ids: bool = False
) -> Graph:
    """Return the graph of a table.

    Its outputs are last_hidden_state and sentence_embedding. With a head, the outputs of the head replace the
    first. `token_type_ids` declares that input as well, for consumers that always feed it. It has no effect,
    and it has a default, so others need not feed it.
    """
    graph = Graph()
    axes = ["batch_size", "sequence_length"]
    input_ids = graph.input(fmt.INPUT_IDS, np.int64, axes)
    attention_mask = graph.input(fmt.ATTENTION_MASK, np.int64, axes)
    if token_type_ids:
        graph.input(fmt.TOKEN_TYPE_IDS, np.int64, axes, default=np.zeros((1, 1), np.int64))

    ids, mask = input_ids, attention_mask
    if rules.max_length is not None:
        # tokenizer.json puts an UNK before and after the text. Transformers.js truncates after it has added
        # them, so it keeps one token of the text too many, which is dropped here.
        limit = rules.max_length + (rules.unk_id is not None)
        ids, mask = (graph.slice(each, 0, limit, axis=1) for each in (ids, mask))
    dropped = graph.equal(mask, np.int64(0))
    if rules.unk_id is not None:
        dropped = graph.node("Or", dropped, graph.equal(ids, np.int64(rules.unk_id)))
    kept_ids = graph.where(dropped, np.int64(table.vocabulary.zero_id), ids)
    kept = graph.cast(graph.node("Not", dropped), np.float32)
    count = graph.reduce_sum(kept, axis=1, keepdims=True)

    total = table.add_sum(graph, PaddedIds(kept_ids, position_first=False, count=count))
    embedding = add_embedding(graph, total, count, rules)
    if head is None:
        hidden = _repeat(graph, embedding, input_ids)
        dim = width_after(rules.layers, table.dim)
        graph.output(fmt.LAST_HIDDEN_STATE, hidden, np.float32, [*axes, dim])
    else:
        add_head_outputs(graph, embedding, head)
    add_embedding_output(graph, embedding, rules, table.dim)
    return graph


def _repeat(graph: Graph, embedding: Value, input_ids: Value) -> Value:
    """Repeat the embedding at every position of the ids, so that any pooling returns it."""
    shape = graph.concat(graph.node("Shape", input_ids), np.array([1], np.int64), axis=0)
    return graph.node("Expand", graph.unsqueeze(embedding, 1), shape)
