"""What models that look up words and their parts have in common: walks from where words begin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Operand, Value
from portvec_export._text_input.arrays.flat import Words, at_most, before, count, find_true, take
from portvec_export._text_input.arrays.trie import PieceTrie


@dataclass(frozen=True)
class WordWalks:
    """How far ways in a trie go from where each word begins.

    Attributes:
        is_start: bool (characters,), whether a word begins there.
        symbols: int32 (characters,), 0 where a word begins, so that no way leads on into another word.
        starts: int64 (words,), where each word begins.
        ends: int64 (words,), where the next one begins.
        states: int32 (words,), the last state on the way through each word; the root for added tokens, and
            for words that are too long.
    """

    is_start: Value
    symbols: Value
    starts: Value
    ends: Value
    states: Value


def walk_words(graph: Graph, words: Words, trie: PieceTrie, limit: int) -> WordWalks:
    """Walk from the start of each word of up to `limit` characters."""
    is_start = graph.node("Not", graph.equal(words.words, before(graph, words.words, np.int64(-1))))
    starts = find_true(graph, is_start)
    following = graph.slice(starts, 1, 2**63 - 1, axis=0)
    ends = graph.concat(following, count(graph, words.codes), axis=0)
    symbols = trie.symbols(graph, words.codes)
    inner = graph.where(is_start, np.int32(0), symbols)
    states, found = trie.step_from(graph, 0, take(graph, symbols, starts))
    is_short = at_most(graph, graph.sub(ends, starts), np.int64(limit))
    rows = find_true(graph, graph.node("And", found, is_short))
    places = graph.add(take(graph, starts, rows), np.int64(1))
    last = trie.walk(graph, inner, places, take(graph, states, rows), trie.longest - 1)
    roots = graph.mul(states, np.int32(0))
    return WordWalks(is_start, inner, starts, ends, graph.node("ScatterElements", roots, rows, last, axis=0))


def with_added_tokens(graph: Graph, codes: Value, ids: Operand) -> Value:
    """Return the ids of added tokens where codes (n,) are negative, else ids (n,), both int32."""
    is_added = graph.node("Less", codes, np.int32(0))
    return graph.where(is_added, graph.sub(np.int32(-1), codes), ids)
