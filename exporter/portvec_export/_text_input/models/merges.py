"""Merging the tokens of words by the merges of a BPE, in a graph.

A word's merge is always the leftmost of those with the lowest rank. Each trip of a loop finds the lowest rank
in each word, and merges all its pairs at once. This is the same if no new pair has a lower rank, which is so
if every token is made before it is used: then all ranks that give a token are below all that use it. For a
rank of which this is not true, a trip merges the leftmost pair alone.

Pairs are found by row displacement: that of the ids a and b has the slot base[a] + b, if owner[slot] is a.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from portvec._vocabulary.merges import NO_RANK
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Type, Value
from portvec_export._text_input.arrays.flat import after, before, find_true, is_any, keep, mark, take
from portvec_export._text_input.models.pair_slots import displace_pairs
from portvec_export._vocabulary.pieces import Arrays

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tokens:
    """The tokens of words, which are numbered in order.

    Attributes:
        ids: int32 (tokens,).
        words: int64 (tokens,), the word of each token.
        places: int64 (tokens,), where each goes in the result.
    """

    ids: Value
    words: Value
    places: Value


class Merger:
    """The merges of a BPE, stored in a graph."""

    def __init__(self, graph: Graph, compiled: Arrays, tokens: int) -> None:
        """Store merges.

        Args:
            graph: to store them in.
            compiled: the arrays of `portvec_export._vocabulary.merges.compile_bpe`.
            tokens: ids are below this.
        """
        left, right = _list_pairs(compiled)
        results = compiled["merge_tokens"][: max(len(left), 1)]
        base, owner, ranks = _tabulate(left, right, tokens)
        arrays = {"base": base, "owner": owner, "rank": ranks, "token": results}
        self._stored = {
            name: graph.tensor(f"merges.{name}", np.ascontiguousarray(array, np.int32))
            for name, array in arrays.items()
        }
        in_order = _are_in_order(left, right, results)
        self._in_order = None if in_order.all() else graph.tensor("merges.in_order", in_order)

    def merge(self, graph: Graph, tokens: Tokens, words: Value, result: Value) -> Value:
        """Merge tokens, and return `result` with the ids that remain at their places.

        Args:
            graph: to add the nodes to.
            tokens: of the words.
            words: int64 (1,), how many words there are.
            result: int32 (places,).
        """
        no_ranks = graph.node("Expand", np.array([NO_RANK], np.int32), words)

        def advance(body: Graph, trip: Value, values: list[Value]) -> tuple[Value, list[Value]]:
            current, result = Tokens(*values[:3]), values[3]
            ranks = self._find_ranks(body, current)
            lowest = body.node("ScatterElements", no_ranks, current.words, ranks, axis=0, reduction="min")
            lowest = take(body, lowest, current.words)
            is_done = body.equal(lowest, np.int32(NO_RANK))
            is_merged = body.node("And", body.equal(ranks, lowest), body.node("Not", is_done))
            merged = self._choose(body, ranks, current.words, find_true(body, is_merged))
            ids = body.node(
                "ScatterElements", current.ids, merged, self._results(body, ranks, merged), axis=0
            )
            # What is done leaves for the result.
            done = find_true(body, is_done)
            places = take(body, current.places, done)
            result = body.node("ScatterElements", result, places, take(body, ids, done), axis=0)
            is_gone = mark(body, is_done, body.add(merged, np.int64(1)))
            states = keep(body, body.node("Not", is_gone), ids, current.words, current.places)
            return is_any(body, states[0]), [*states, result]

        types: list[Type] = [(each, [None]) for each in (np.int32, np.int64, np.int64)]
        values = [tokens.ids, tokens.words, tokens.places, result]
        condition = is_any(graph, tokens.ids)
        return graph.loop(values, advance, [*types, (np.int32, [None])], condition=condition)[3]

    def _find_ranks(self, graph: Graph, tokens: Tokens) -> Value:
        """Return the rank, int32 (tokens,), of the pair of each token and the next of its word."""
        following = after(graph, tokens.ids, np.int32(0))
        is_inside = graph.equal(tokens.words, after(graph, tokens.words, np.int64(-1)))
        slots = graph.add(take(graph, self._stored["base"], tokens.ids), following)
        is_pair = graph.equal(take(graph, self._stored["owner"], slots), tokens.ids)
        ranks = take(graph, self._stored["rank"], slots)
        return graph.where(graph.node("And", is_inside, is_pair), ranks, np.int32(NO_RANK))

    def _choose(self, graph: Graph, ranks: Value, words: Value, merged: Value) -> Value:
        """Return those of the places `merged`, int64 (k,), that are merged now.

        Pairs overlap only where a token is merged with itself: of three in a row, the first two are.
        """
        is_first = graph.node(
            "Not", graph.equal(graph.sub(merged, before(graph, merged, np.int64(-2))), np.int64(1))
        )
        firsts = find_true(graph, is_first)
        run = graph.sub(graph.node("CumSum", graph.cast(is_first, np.int64), np.int64(0)), np.int64(1))
        start = take(graph, take(graph, merged, firsts), run)
        offset = graph.sub(merged, start)
        is_even = graph.equal(graph.node("Mod", offset, np.int64(2)), np.int64(0))
        if self._in_order is not None:
            owners = take(graph, words, merged)
            is_leftmost = graph.node("Not", graph.equal(owners, before(graph, owners, np.int64(-1))))
            in_order = take(graph, self._in_order, take(graph, ranks, merged))
            is_even = graph.node("And", is_even, graph.node("Or", is_leftmost, in_order))
        return keep(graph, is_even, merged)[0]

    def _results(self, graph: Graph, ranks: Value, merged: Value) -> Value:
        return take(graph, self._stored["token"], take(graph, ranks, merged))


def _list_pairs(compiled: Arrays) -> tuple[Ints, Ints]:
    """Return the left and the right ids of all merges, by rank."""
    pairs = compiled["merge_pairs"].reshape(-1, 2)
    slots = np.flatnonzero(pairs[:, 0] >= 0)
    left, right = pairs[slots[np.argsort(compiled["merge_ranks"][slots])]].T.astype(np.int64)
    return left, right


def _tabulate(left: Ints, right: Ints, tokens: int) -> tuple[Ints, Ints, Ints]:
    """Return the base of each id, and the left id and the rank of each slot; -1 and 0 if it has no pair."""
    base, slots = displace_pairs(left, right, tokens)
    size = int(base.max()) + tokens
    owner, ranks = np.full(size, -1), np.zeros(size, np.int64)
    owner[slots] = left
    ranks[slots] = np.arange(len(left))
    return base, owner, ranks


def _are_in_order(left: Ints, right: Ints, results: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Return for each rank whether its token is used only by higher ranks, bool (ranks or 1,)."""
    first_use: dict[int, int] = {}
    for rank, pair in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        for token in pair:
            first_use.setdefault(token, rank)
    ranks = range(len(left))
    made = results.tolist()
    return np.array([first_use.get(made[rank], NO_RANK) > rank for rank in ranks] or [True])
