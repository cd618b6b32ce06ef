"""The graph for portvec's runtime, which feeds token ids in the layout in which they are summed.

The ids hold no UNK, are padded with the id of the zero row, and have a column for each text. The numbers of
tokens are an input only where they matter: the unit vector of a sum is that of the mean, unless float32
cannot hold the sum's square.
"""

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
from portvec_export._table.table import PaddedIds, Table


def build_tiled_graph(table: Table, rules: Rules, head: HeadLayers | None) -> Graph:
    """Return the graph for batches of texts, cut into tiles.

    A Scan goes over the tiles, so that the rows gathered for one are still in the processor's cache when
    they are summed.
    """
    graph = Graph()
    token_ids = graph.input(fmt.TOKEN_IDS, np.int32, ["positions", "texts"])
    bounds = graph.input(fmt.TILE_BOUNDS, np.int64, ["blocks", 2])

    def sum_tile(body: Graph, tile: Value) -> Value:
        start, end = body.nodes("Split", 2, tile, axis=0)
        return _add_sum(body, body.slice(token_ids, start, end, axis=0), table, rules)

    totals = graph.scan(bounds, sum_tile, item=(np.int64, [2]), result=(np.float32, ["texts", table.dim]))
    _finish(graph, graph.reshape(totals, -1, table.dim), table, rules, head)
    return graph


def _add_sum(graph: Graph, ids: Value, table: Table, rules: Rules) -> Value:
    """Add the sum of each text's vectors, divided by their number if its squares might not fit float32."""
    total = table.add_sum(graph, PaddedIds(ids, position_first=True))
    if not rules.normalizes_means:
        return total
    is_token = graph.node("Not", graph.equal(ids, np.int32(table.vocabulary.zero_id)))
    count = graph.reduce_sum(graph.cast(is_token, np.float32), axis=0)
    return graph.div(total, graph.unsqueeze(graph.maximum(count, np.float32(1)), 1))


def _finish(graph: Graph, total: Value, table: Table, rules: Rules, head: HeadLayers | None) -> None:
    """Add the nodes after the sum: division or unit length, the layers, and the head."""
    if rules.normalize:
        embedding = add_unit_length(graph, total)
    else:
        embedding = graph.div(total, graph.input(fmt.TOKEN_COUNTS, np.float32, ["columns", 1]))
    embedding = add_layers(graph, rules.layers, embedding)
    dim = width_after(rules.layers, table.dim)
    graph.output(fmt.SENTENCE_EMBEDDING, embedding, np.float32, ["columns", dim])
    if head is not None:
        logits = add_layers(graph, head.as_layers(), embedding, "head")
        graph.output(fmt.LOGITS, logits, np.float32, ["columns", head.facts.outputs])
