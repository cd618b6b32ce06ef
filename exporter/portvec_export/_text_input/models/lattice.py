"""Unigram's search: of all ways to write a word with pieces, the one whose scores have the largest sum.

The best way to a character ends with one of the pieces that end there, after the best way to the character
before that piece. Sums are float64, and are added from left to right, as Hugging Face does: ties and rounding
come out the same. Of equal sums, the longest last piece wins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Type, Value
from portvec_export._text_input.arrays.flat import after, count, find_true, is_any, list_places, mark, take
from portvec_export._text_input.models.suffixes import SuffixPieces

# How many columns the first block has, at least: most words are not longer. If there are few words, it has as
# many as give this number of places: a block costs more time than places that are not needed.
_FEWEST_COLUMNS = 8
_FEW_PLACES = 2048


@dataclass(frozen=True)
class Rows:
    """Where words are.

    Attributes:
        words: int64 (characters,), the word of each character.
        starts: int64 (words,), the first character of each word.
        lengths: int64 (words,), characters of each word.
    """

    words: Value
    starts: Value
    lengths: Value


def lay_rows(graph: Graph, words: Value) -> Rows:
    """Return where words, int64 (characters,), are."""
    lasts = find_true(graph, graph.node("Less", words, after(graph, words, np.int64(2**63 - 1))))
    ends = graph.add(lasts, np.int64(1))
    starts = graph.concat(np.array([0]), graph.slice(ends, 0, -1, axis=0), axis=0)
    return Rows(words, starts, graph.sub(ends, starts))


def choose(graph: Graph, pieces: SuffixPieces, longest: Value, rows: Rows) -> Value:
    """Return the piece, int32 (characters,), with which the best way to each character ends.

    Words are searched together, column by column. Columns are in blocks, each as long as all before it, and
    only words that reach a block are in it: so at most half of a block lies behind the ends of words, and the
    number of blocks is small however long a word is.

    Args:
        graph: to add the nodes to.
        pieces: of the model.
        longest: int32 (characters,), the longest piece that ends at each character.
        rows: the words.
    """
    lengths, order = graph.nodes("TopK", 2, rows.lengths, count(graph, rows.lengths), axis=0)
    starts = take(graph, rows.starts, order)
    columns = graph.node("ReduceMax", rows.lengths, keepdims=1)
    farthest = graph.node("ReduceMax", pieces.steps(graph, longest), keepdims=1)
    farthest = graph.add(graph.cast(farthest, np.int64), np.int64(1))
    # Of the best ways to the last characters, the latest first. That to the start of a word is 0.
    one = graph.constant(np.array([1]))
    sums = graph.node("Expand", np.float64(0), graph.concat(one, count(graph, lengths), axis=0))
    fewest = graph.div(np.int64(_FEW_PLACES), count(graph, lengths))
    fewest = graph.maximum(fewest, np.array([_FEWEST_COLUMNS]))
    # One more place stands for those behind the ends of words.
    characters = count(graph, longest)
    longest = graph.concat(longest, np.array([pieces.none], np.int32), axis=0)

    def search(body: Graph, trip: Value, states: list[Value]) -> tuple[Value, list[Value]]:
        first, width, sums, chosen = states
        size = body.minimum(body.maximum(first, fewest), body.sub(columns, first))
        is_active = body.cast(body.node("Greater", lengths, first), np.int64)
        active = body.reduce_sum(is_active, axis=0, keepdims=True)
        numbers = body.node("Range", np.int64(0), body.squeeze(size, 0), np.int64(1))
        column = body.unsqueeze(body.add(numbers, first), 1)
        is_inside = body.node("Less", column, body.slice(lengths, 0, active, axis=0))
        places = body.add(body.slice(starts, 0, active, axis=0), column)
        places = body.reshape(body.where(is_inside, places, characters), -1)
        groups = _find_groups(body, pieces, take(body, longest, places), size, active)
        # Ways to characters before the start of a word are never asked for.
        first = body.add(first, size)
        wider = body.minimum(first, farthest)
        more = body.concat(body.sub(wider, width), active, axis=0)
        sums = body.slice(sums, 0, active, axis=1)
        sums = body.concat(sums, body.node("Expand", np.float64(0), more), axis=0)
        sums, best = _search_block(body, pieces, sums, groups)
        chosen = body.node("ScatterElements", chosen, places, best, axis=0)
        return body.squeeze(body.node("Less", first, columns), 0), [first, wider, sums, chosen]

    types: list[Type] = [(np.int64, [1]), (np.int64, [1]), (np.float64, [None, None]), (np.int32, [None])]
    states = [graph.constant(np.array([0])), one, sums, longest]
    chosen = graph.loop(states, search, types, trips=np.int64(64))[3]
    return graph.slice(chosen, 0, -1, axis=0)


def read_back(graph: Graph, steps: Value, rows: Rows) -> Value:
    """Return the last characters, int64 (pieces,), of the pieces of the best ways, in order.

    Args:
        graph: to add the nodes to.
        steps: int32 (characters,), how many characters the last piece of the best way to each goes back.
        rows: the words. The last must have one character.
    """
    size = count(graph, steps)
    numbers = list_places(graph, steps)
    before = graph.sub(graph.sub(numbers, graph.cast(steps, np.int64)), np.int64(1))
    # The first pieces of words lead to the last character, which leads to itself.
    end = graph.sub(size, np.int64(1))
    leaves = graph.node("Less", before, take(graph, rows.starts, rows.words))
    before = graph.where(leaves, end, before)
    lasts = graph.sub(graph.add(rows.starts, rows.lengths), np.int64(1))

    # Each round knows twice as many pieces of each word, counted from its end.
    def double(body: Graph, trip: Value, states: list[Value]) -> tuple[Value, list[Value]]:
        before, known = states
        more = take(body, before, known)
        new = find_true(body, body.node("Less", more, end))
        known = body.concat(known, take(body, more, new), axis=0)
        return is_any(body, new), [take(body, before, before), known]

    types: list[Type] = [(np.int64, [None]), (np.int64, [None])]
    known = graph.loop([before, lasts], double, types, trips=np.int64(64))[1]
    marks = graph.node("Expand", np.bool_(False), size)
    return find_true(graph, mark(graph, marks, known))


def _find_groups(graph: Graph, pieces: SuffixPieces, longest: Value, size: Value, rows: Value) -> Value:
    """Return the pieces that end at the characters of a block.

    Args:
        graph: to add the nodes to.
        pieces: of the model.
        longest: int32 (columns * rows,), the longest one at each character.
        size: int64 (1,), columns.
        rows: int64 (1,).

    Returns:
        int32 (columns, most pieces of a character, rows), the longest first.
    """
    most = graph.cast(graph.node("ReduceMax", pieces.ways(graph, longest), keepdims=1), np.int64)

    def shorten(body: Graph, trip: Value, states: list[Value]) -> tuple[None, list[Value]]:
        ids, groups = states
        ids = pieces.shorter(body, ids)
        return None, [ids, body.concat(groups, ids, axis=0)]

    types: list[Type] = [(np.int32, [None]), (np.int32, [None])]
    trips = graph.squeeze(graph.sub(most, np.int64(1)), 0)
    groups = graph.loop([longest, longest], shorten, types, trips=trips)[1]
    groups = graph.node("Reshape", groups, graph.concat(most, size, rows, axis=0))
    return graph.transpose(groups, 1, 0, 2)


def _search_block(graph: Graph, pieces: SuffixPieces, sums: Value, groups: Value) -> tuple[Value, Value]:
    """Search a block.

    Args:
        graph: to add the nodes to.
        pieces: of the model.
        sums: float64 (width, rows), of the best ways to the characters before the block, the last one first.
        groups: int32 (columns, most, rows), the pieces that end at each character of the block.

    Returns:
        the new sums, and the last pieces of the best ways, int32 (columns * rows,).
    """
    flat, shape = graph.reshape(groups, -1), graph.node("Shape", groups)
    scores = graph.node("Reshape", pieces.scores(graph, flat), shape)
    steps = graph.node("Reshape", pieces.steps(graph, flat), shape)

    def step(body: Graph, states: list[Value], items: list[Value]) -> tuple[list[Value], list[Value]]:
        (sums,), (scores, steps) = states, items
        totals = body.add(body.node("GatherElements", sums, steps, axis=0), scores)
        best = body.node("ArgMax", totals, axis=0, keepdims=1)
        total = body.node("GatherElements", totals, best, axis=0)
        return [body.concat(total, body.slice(sums, 0, -1, axis=0), axis=0)], [best]

    (sums,), (best,) = graph.fold(
        [sums],
        [scores, steps],
        step,
        types=(
            [(np.float64, [None, None])],
            [(np.float64, [None, None]), (np.int32, [None, None])],
            [(np.int64, [1, None])],
        ),
    )
    return sums, graph.reshape(graph.node("GatherElements", groups, best, axis=1), -1)
