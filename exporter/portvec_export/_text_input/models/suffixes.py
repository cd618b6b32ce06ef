"""The pieces of a vocabulary by how they end: which of them end at a character of a word.

A trie of the pieces read backwards leads from a character to the longest piece that ends there, and that
piece leads to the next shorter one that ends at the same place, and so on. Besides the ids, two more numbers
stand for pieces: `unknown` is a character that is no piece, and `none` comes after the shortest.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.flat import count, find_true, is_any, list_places, take
from portvec_export._text_input.arrays.trie import PieceTrie, list_levels
from portvec_export._vocabulary.pieces import compile_trie

# How much lower the score of an unknown character is than that of any piece.
_PENALTY = 10.0


class SuffixPieces:
    """The pieces of a Unigram model.

    Attributes:
        unknown: the number of a character that is no piece.
        none: the number of no piece.
    """

    def __init__(self, pieces: Mapping[str, int], scores: npt.NDArray[np.float64]) -> None:
        """Compile pieces, of which each has an id, and the scores, (ids,), of all ids.

        Raises:
            NotCompilable: there is no piece.
        """
        arrays = compile_trie({piece[::-1]: number for piece, number in pieces.items()})
        self._trie = PieceTrie(arrays, "unigram")
        self.unknown, self.none = len(scores), len(scores) + 1
        check, token = arrays["check"], arrays["token"]
        longest = np.full(len(check), self.unknown, np.int32)
        shorter, steps, ways = np.full((3, len(scores) + 2), [[self.none], [0], [0]], np.int32)
        ways[self.unknown] = 1
        for depth, slots in enumerate(list_levels(check)):
            longest[slots] = longest[check[slots]]
            ends = slots[token[slots] >= 0]
            ids = token[ends]
            if depth:  # nothing is shorter than one character
                shorter[ids] = longest[ends]
            steps[ids], ways[ids] = depth, ways[shorter[ids]] + 1
            longest[ends] = ids
        self._longest, self._shorter, self._steps, self._ways = longest, shorter, steps, ways
        self._scores = np.concatenate([scores, [scores.min() - _PENALTY, -np.inf]])

    def shorter(self, graph: Graph, ids: Value) -> Value:
        """Return the next shorter piece, int32 (n,), that ends where each piece, int32 (n,), ends."""
        return take(graph, graph.tensor("unigram.shorter", self._shorter), ids)

    def steps(self, graph: Graph, ids: Value) -> Value:
        """Return how many characters each piece, int32 (n,), goes back, int32 (n,): one less than it has."""
        return take(graph, graph.tensor("unigram.steps", self._steps), ids)

    def ways(self, graph: Graph, ids: Value) -> Value:
        """Return how many pieces, int32 (n,), end where each of `ids`, (n,), ends: it and shorter ones."""
        return take(graph, graph.tensor("unigram.ways", self._ways), ids)

    def scores(self, graph: Graph, ids: Value) -> Value:
        """Return the score, float64 (n,), of each piece, int32 (n,)."""
        return take(graph, graph.tensor("unigram.scores", self._scores), ids)

    def find(self, graph: Graph, codes: Value, words: Value, size: Value) -> Value:
        """Return the longest piece, int32 (characters,), that ends at each character.

        Args:
            graph: to add the nodes to.
            codes: int32 (characters,).
            words: int64 (characters,), the word of each.
            size: int64 (1,), the number of words.
        """
        # There is a place between words, whose symbol ends all walks.
        characters = count(graph, codes)
        numbers = list_places(graph, codes)
        places = graph.add(numbers, words)
        zeros = graph.node("Expand", np.int32(0), graph.add(characters, size))
        symbols = self._trie.symbols(graph, codes)
        symbols = graph.node("ScatterElements", zeros, places, symbols, axis=0)
        before = graph.concat(np.array([0], np.int32), symbols, axis=0)
        states, found = self._trie.step_from(graph, 0, symbols)
        ends = find_true(graph, found)

        def advance(body: Graph, trip: Value, values: list[Value]) -> tuple[Value, list[Value]]:
            last, ends, states = values
            slots, found = self._trie.step(body, states, take(body, before, body.sub(ends, trip)))
            going = find_true(body, found)
            ends, states = take(body, ends, going), take(body, slots, going)
            last = body.node("ScatterElements", last, ends, states, axis=0)
            return is_any(body, ends), [last, ends, states]

        last = graph.loop(
            [graph.where(found, states, np.int32(0)), ends, take(graph, states, ends)],
            advance,
            [(np.int32, [None]), (np.int64, [None]), (np.int32, [None])],
            trips=np.int64(self._trie.longest - 1),
            condition=is_any(graph, ends),
        )[0]
        return take(graph, graph.tensor("unigram.longest", self._longest), take(graph, last, places))
