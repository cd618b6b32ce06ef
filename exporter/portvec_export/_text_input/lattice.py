"""Unigram's search: of all ways to write a word with pieces, the one whose scores have the largest sum.

An edge is a piece in a word: it leads from its first character to its last. A trie finds all edges. They are
grouped by the character where they end, the shortest first. The best way to each character is one of its
edges after the best way to the character before that edge. Sums are float64, and are added from left to
right, as Hugging Face does: ties and rounding come out the same. Of equal sums, the longest edge wins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from portvec_export._onnx.builder import Graph, Type
from portvec_export._onnx.operators import Value
from portvec_export._text_input.flat import count, find_true, take
from portvec_export._text_input.trie import PieceTrie, is_any

# How many columns the first block has. Most words are not longer.
_FIRST_BLOCK = 8


@dataclass(frozen=True)
class Rows:
    """Where words are.

    Attributes:
        words: int64 (characters,), the word of each character.
        starts: int64 (words,), the first character of each word.
        lengths: int64 (words,), characters of each word.
        characters: int64 (1,), how many there are.
    """

    words: Value
    starts: Value
    lengths: Value
    characters: Value


@dataclass(frozen=True)
class Edges:
    """The pieces that occur in words, and one more edge, the last, which has no score and fills up groups.

    Attributes:
        tokens: int32 (edges,), the id of each; -1 for an unknown character.
        steps: int32 (edges,), how many characters each goes back: one less than it has.
        scores: float64 (edges,).
        by_end: int32 (characters + 1, most edges of a character), the edges that end at each character, and
            a group without edges.
    """

    tokens: Value
    steps: Value
    scores: Value
    by_end: Value


def lay_rows(graph: Graph, words: Value) -> Rows:
    """Return where words, int64 (characters,), are."""
    characters = count(graph, words)
    following = graph.concat(graph.slice(words, 1, _ALL, axis=0), np.array([-1]), axis=0)
    lasts = find_true(graph, graph.node("Not", graph.equal(words, following)))
    starts = graph.concat(np.array([0]), graph.add(graph.slice(lasts, 0, -1, axis=0), np.int64(1)), axis=0)
    lengths = graph.add(graph.sub(lasts, starts), np.int64(1))
    return Rows(words, starts, lengths, characters)


def find_edges(
    graph: Graph,
    trie: PieceTrie,
    symbols: Value,
    rows: Rows,
    scores: npt.NDArray[np.float64],
    unknown_score: float,
) -> Edges:
    """Return all edges of words.

    Args:
        graph: to add the nodes to.
        trie: of the pieces.
        symbols: int32 (characters,).
        rows: the words.
        scores: (ids,), of each id.
        unknown_score: of a character that is no piece.
    """
    # There is a place behind each word, whose symbol ends all walks.
    positions = _number(graph, rows.characters)
    places = graph.add(positions, rows.words)
    size = graph.add(rows.characters, count(graph, rows.starts))
    spaced = graph.node("ScatterElements", _repeat(graph, np.int32(0), size), places, symbols, axis=0)
    position_of = graph.node("ScatterElements", _repeat(graph, np.int64(0), size), places, positions, axis=0)

    # Each character is the end of one edge with one character.
    slots, found = trie.step_from(graph, 0, symbols)
    tokens = graph.where(found, trie.token(graph, slots), np.int32(-1))
    going = find_true(graph, found)
    counts, zeros = _repeat(graph, np.int32(1), size), _repeat(graph, np.int32(0), rows.characters)

    def advance(body: Graph, trip: Value, states: list[Value]) -> tuple[Value, list[Value]]:
        counts, places, slots, *edges = states
        places = body.add(places, np.int64(1))
        slots, found = trie.step(body, slots, take(body, spaced, places))
        going = find_true(body, found)
        places, slots = take(body, places, going), take(body, slots, going)
        tokens = trie.token(body, slots)
        hits = find_true(body, body.node("GreaterOrEqual", tokens, np.int32(0)))
        ends = take(body, places, hits)
        ranks = take(body, counts, ends)
        counts = body.node("ScatterElements", counts, ends, body.add(ranks, np.int32(1)), axis=0)
        steps = _repeat(body, body.cast(body.add(trip, np.int64(1)), np.int32), count(body, hits))
        more = [take(body, tokens, hits), steps, ends, ranks]
        edges = [body.concat(old, new, axis=0) for old, new in zip(edges, more, strict=True)]
        return is_any(body, places), [counts, places, slots, *edges]

    edge: list[Type] = [(each, [None]) for each in (np.int32, np.int32, np.int64, np.int32)]
    counts, _, _, tokens, steps, ends, ranks = graph.loop(
        [counts, take(graph, places, going), take(graph, slots, going), tokens, zeros, places, zeros],
        advance,
        [(np.int32, ["places"]), (np.int64, [None]), (np.int32, [None]), *edge],
        trips=np.int64(trie.longest - 1),
        condition=is_any(graph, going),
    )
    return _group(
        graph, tokens, steps, take(graph, position_of, ends), ranks, counts, rows, scores, unknown_score
    )


def choose(graph: Graph, edges: Edges, rows: Rows) -> Value:
    """Return the edge, int32 (characters,), with which the best way to each character ends.

    Words are searched together, column by column. Columns are in blocks, each as long as all before it, and
    only words that reach a block are in it: so at most half of a block lies behind the ends of words, and the
    number of blocks is small however long a word is.
    """
    lengths, order = graph.nodes("TopK", 2, rows.lengths, count(graph, rows.lengths), axis=0)
    starts = take(graph, rows.starts, order)
    longest = graph.node("ReduceMax", rows.lengths, keepdims=1)
    # Of the ways to the last characters, the latest first. Before the first character, the sum is 0.
    width = graph.add(graph.cast(graph.node("ReduceMax", edges.steps, keepdims=1), np.int64), np.int64(1))
    shape = graph.concat(count(graph, lengths), width, axis=0)
    sums = graph.node("Expand", np.float64(0), shape)
    chosen = _repeat(graph, np.int32(0), graph.add(rows.characters, np.int64(1)))

    def search(body: Graph, trip: Value, states: list[Value]) -> tuple[Value, list[Value]]:
        first, sums, chosen = states
        size = body.minimum(body.maximum(first, np.array([_FIRST_BLOCK])), body.sub(longest, first))
        is_active = body.cast(body.node("Greater", lengths, first), np.int64)
        active = body.reduce_sum(is_active, axis=0, keepdims=True)
        sums = body.slice(sums, 0, active, axis=0)
        columns = body.unsqueeze(body.add(_number(body, size), first), 1)
        is_inside = body.node("Less", columns, body.slice(lengths, 0, active, axis=0))
        places = body.add(body.slice(starts, 0, active, axis=0), columns)
        places = body.where(is_inside, places, rows.characters)
        sums, best = _search_block(body, edges, sums, body.gather(edges.by_end, places))
        chosen = body.node("ScatterElements", chosen, body.reshape(places, -1), best, axis=0)
        first = body.add(first, size)
        goes_on = body.squeeze(body.node("Less", first, longest), 0)
        return goes_on, [first, sums, chosen]

    types: list[Type] = [(np.int64, [1]), (np.float64, [None, None]), (np.int32, ["chosen"])]
    states = [graph.constant(np.array([0])), sums, chosen]
    chosen = graph.loop(states, search, types, trips=np.int64(64))[2]
    return graph.slice(chosen, 0, -1, axis=0)


def read_back(graph: Graph, steps: Value, rows: Rows) -> Value:
    """Return the last characters, int64 (pieces,), of the pieces of the best ways, in order.

    Args:
        graph: to add the nodes to.
        steps: int32 (characters,), how many characters the last edge of the best way to each goes back.
        rows: the words. The last must have one character.
    """
    positions = _number(graph, rows.characters)
    before = graph.sub(graph.sub(positions, graph.cast(steps, np.int64)), np.int64(1))
    # The first pieces of words lead to the last character, which leads to itself.
    end = graph.sub(rows.characters, np.int64(1))
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

    types: list[Type] = [(np.int64, ["characters"]), (np.int64, [None])]
    known = graph.loop([before, lasts], double, types, trips=np.int64(64))[1]
    marks = _repeat(graph, np.int32(0), rows.characters)
    marks = graph.node(
        "ScatterElements", marks, known, _repeat(graph, np.int32(1), count(graph, known)), axis=0
    )
    return find_true(graph, marks)


def _group(
    graph: Graph,
    tokens: Value,
    steps: Value,
    ends: Value,
    ranks: Value,
    counts: Value,
    rows: Rows,
    scores: npt.NDArray[np.float64],
    unknown_score: float,
) -> Edges:
    """Group edges by the character where each ends, `ends`, int64 (edges,), in the order of `ranks`."""
    number = count(graph, tokens)
    table = graph.tensor("unigram.scores", np.append(scores, unknown_score))
    is_unknown = graph.node("Less", tokens, np.int32(0))
    values = take(graph, table, graph.where(is_unknown, np.int32(len(scores)), tokens))
    most = graph.cast(graph.node("ReduceMax", counts, keepdims=1), np.int64)
    groups = graph.add(rows.characters, np.int64(1))
    empty = _repeat(graph, graph.cast(number, np.int32), graph.mul(groups, most))
    at = graph.add(graph.mul(ends, most), graph.cast(ranks, np.int64))
    numbers = graph.cast(_number(graph, number), np.int32)
    by_end = graph.node("ScatterElements", empty, at, numbers, axis=0)
    return Edges(
        graph.concat(tokens, np.array([-1], np.int32), axis=0),
        graph.concat(steps, np.array([0], np.int32), axis=0),
        graph.concat(values, np.array([-np.inf]), axis=0),
        graph.node("Reshape", by_end, graph.concat(groups, most, axis=0)),
    )


def _search_block(graph: Graph, edges: Edges, sums: Value, groups: Value) -> tuple[Value, Value]:
    """Search a block.

    Args:
        graph: to add the nodes to.
        edges: all of them.
        sums: float64 (rows, width), of the best ways to the characters before the block, the last one first.
        groups: int32 (columns, rows, most), the edges that end at each character of the block.

    Returns:
        the new sums, and the best edges, int32 (columns * rows,).
    """
    flat, shape = graph.reshape(groups, -1), graph.node("Shape", groups)
    scores = graph.node("Reshape", take(graph, edges.scores, flat), shape)
    steps = graph.node("Reshape", take(graph, edges.steps, flat), shape)

    def step(body: Graph, states: list[Value], items: list[Value]) -> tuple[list[Value], list[Value]]:
        (sums,), (scores, steps) = states, items
        totals = body.add(body.node("GatherElements", sums, steps, axis=1), scores)
        best = body.node("ArgMax", totals, axis=1, keepdims=1, select_last_index=1)
        total = body.node("GatherElements", totals, best, axis=1)
        return [body.concat(total, body.slice(sums, 0, -1, axis=1), axis=1)], [best]

    (sums,), (best,) = graph.fold(
        [sums],
        [scores, steps],
        step,
        types=(
            [(np.float64, [None, None])],
            [(np.float64, [None, None]), (np.int32, [None, None])],
            [(np.int64, [None, 1])],
        ),
    )
    return sums, graph.reshape(graph.node("GatherElements", groups, best, axis=2), -1)


def _number(graph: Graph, size: Value) -> Value:
    """Return 0, 1, 2 and so on, int64 (size,), for a size, int64 (1,)."""
    return graph.node("Range", np.int64(0), graph.squeeze(size, 0), np.int64(1))


def _repeat(graph: Graph, value: Value | np.generic, size: Value) -> Value:
    """Return a value () or (1,) as often as `size`, int64 (1,), says."""
    return graph.node("Expand", value, size)


_ALL = 2**63 - 1
