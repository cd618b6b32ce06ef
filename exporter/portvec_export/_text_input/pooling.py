"""From the ids of texts to their vectors, a few texts of similar length at a time."""

from __future__ import annotations

from typing import Final

import numpy as np

from portvec._artifact import format as fmt
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._table.table import PaddedIds, Table
from portvec_export._text_input.arrays.flat import take
from portvec_export._text_input.limits import PooledIds

# Texts whose vectors are gathered together. They are padded to the longest of them.
_TEXTS: Final = 16


def add_padded_ids(graph: Graph, pooled: PooledIds) -> Value:
    """Return the ids as int64 (texts, length), padded with -1. The length is at least 1."""
    length = graph.maximum(graph.node("ReduceMax", pooled.counts, keepdims=1), np.array([1], np.int64))
    shape = graph.concat(pooled.batch_size, length, axis=0)
    size = graph.mul(pooled.batch_size, length)
    padding = graph.node("Expand", np.int64(fmt.TEXT_PADDING), size)
    places = graph.add(graph.mul(pooled.texts, length), pooled.places)
    ids = graph.cast(pooled.ids, np.int64)
    return graph.node("Reshape", graph.node("ScatterElements", padding, places, ids, axis=0), shape)


def add_sums(graph: Graph, pooled: PooledIds, table: Table) -> Value:
    """Return the sum of the vectors of each text, float32 (texts, dim).

    A Scan goes over tiles of texts, which are sorted by length. So memory grows with the texts of one tile.
    """
    counts = graph.slice(pooled.counts, 0, pooled.batch_size, axis=0)
    order = graph.nodes("TopK", 2, counts, pooled.batch_size, axis=0)[1]
    # The text behind the last has no ids, and fills up the last tile.
    tile = graph.minimum(pooled.batch_size, np.array([_TEXTS], np.int64))
    missing = graph.node("Mod", graph.sub(np.int64(0), pooled.batch_size), tile)
    filling = graph.node("Expand", pooled.batch_size, missing)
    tiles = graph.node(
        "Reshape",
        graph.concat(order, filling, axis=0),
        graph.concat(np.array([-1], np.int64), tile, axis=0),
    )
    # Places without an id have this one.
    ids = graph.concat(pooled.ids, np.array([table.vocabulary.zero_id], np.int32), axis=0)
    no_id = graph.sub(graph.node("Shape", ids), np.int64(1))

    def sum_tile(body: Graph, texts: Value) -> Value:
        counts, starts = (take(body, each, texts) for each in (pooled.counts, pooled.starts))
        longest = body.maximum(body.slice(counts, 0, 1, axis=0), np.array([1], np.int64))
        places = body.node("Range", np.int64(0), body.squeeze(longest, 0), np.int64(1))
        places = body.unsqueeze(places, 1)
        is_id = body.node("Less", places, body.unsqueeze(counts, 0))
        places = body.where(is_id, body.add(places, body.unsqueeze(starts, 0)), no_id)
        found = take(body, ids, body.reshape(places, -1))
        block = body.node("Reshape", found, body.node("Shape", places))
        return table.add_sum(body, PaddedIds(block, position_first=True))

    item = (np.int64, ["tile_texts"])
    sums = graph.scan(tiles, sum_tile, item=item, result=(np.float32, ["tile_texts", table.dim]))
    sums = graph.reshape(sums, -1, table.dim)
    # Each text's place in the order: the order turned round.
    positions = graph.node("Range", np.int64(0), graph.squeeze(pooled.batch_size, 0), np.int64(1))
    inverse = graph.node("ScatterElements", positions, order, positions, axis=0)
    return graph.gather(sums, inverse)


def add_counts(graph: Graph, pooled: PooledIds) -> Value:
    """Return the number of ids of each text, float32 (texts, 1)."""
    counts = graph.slice(pooled.counts, 0, pooled.batch_size, axis=0)
    return graph.unsqueeze(graph.cast(counts, np.float32), 1)
