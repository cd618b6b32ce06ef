"""BPE in a graph: a word's characters are tokens, and neighbouring tokens are merged."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
from tokenizers import Tokenizer

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.flat import (
    Ids,
    Words,
    before,
    count,
    find_true,
    keep,
    running_sum,
    take,
)
from portvec_export._text_input.arrays.trie import PieceTrie
from portvec_export._text_input.models.merges import Merger, Tokens
from portvec_export._text_input.models.spelling import Spelling
from portvec_export._text_input.models.word_walks import walk_words, with_added_tokens
from portvec_export._vocabulary.merges import compile_bpe
from portvec_export._vocabulary.pieces import compile_trie

# Characters that often stand for spaces.
_MARKS = "\u2581 "
# A word is cut before a mark if no more characters than this are merged with a mark behind them.
_MOST_JOINED = 8


def add_byte_pairs(graph: Graph, words: Words, tokenizer: Tokenizer) -> Ids:
    """Return the ids of words under a BPE.

    Words that the model makes one token of are looked up. The others are spelled and merged.

    Raises:
        NotCompilable: it has dropout, or its ids depend on the order in which the library works.
        NotExpressible: it spells characters with bytes, and something of that is unusual.
    """
    facts, compiled = compile_bpe(tokenizer)
    pieces = tokenizer.get_vocab(with_added_tokens=False)
    spelling = Spelling(graph, pieces, facts)

    for mark, joined in _find_marks(tokenizer, pieces).items():
        words = _cut(graph, words, mark, joined)
    whole = _find_whole(graph, words, tokenizer, pieces)
    words = spelling.add_bytes(graph, words)

    # Each token has the place of its first character, or byte, until all are known.
    starts = find_true(graph, _is_start(graph, words.words))
    size = count(graph, words.codes)
    result = graph.node("Expand", np.array([-1], np.int32), size)
    result = graph.node("ScatterElements", result, starts, whole, axis=0)
    is_rest = graph.node("Less", whole, np.int32(0))
    places = find_true(graph, take(graph, is_rest, words.words))
    codes, owners = (take(graph, each, places) for each in (words.codes, words.words))
    ids, owners, places = spelling.find(graph, codes, owners, places)
    merger = Merger(graph, compiled, max(pieces.values()) + 1)
    tokens = Tokens(ids, owners, places)
    result = merger.merge(graph, tokens, count(graph, words.texts), result)

    is_token = graph.node("GreaterOrEqual", result, np.int32(0))
    ids, owners = keep(graph, is_token, result, words.words)
    return Ids(ids, take(graph, words.texts, owners))


def _is_start(graph: Graph, words: Value) -> Value:
    """Return whether each character is the first of its word, bool (characters,)."""
    return graph.node("Not", graph.equal(words, before(graph, words, np.int64(-1))))


def _find_marks(tokenizer: Tokenizer, pieces: Mapping[str, int]) -> dict[str, set[str]]:
    """Return characters before which words can be cut, and those behind which not.

    No merge may have both sides of the cut in one token, and neither may an unknown token.
    """
    state = json.loads(tokenizer.model.__getstate__())
    names = ("ignore_merges", "continuing_subword_prefix", "end_of_word_suffix")
    if any(state[name] for name in names):
        return {}
    # What ends with a token of these may have been any character.
    others = tuple(filter(None, [state["unk_token"], ">" if state["byte_fallback"] else None]))
    marks = {}
    for mark in filter(pieces.__contains__, _MARKS):
        left = [left for left, right in state["merges"] if right.startswith(mark)]
        joined = {piece[-1] for piece in left}
        # Without such tokens, unknown characters vanish, and what is around them is merged.
        if not joined or (
            others and len(joined) <= _MOST_JOINED and not any(piece.endswith(others) for piece in left)
        ):
            marks[mark] = joined
    return marks


def _cut(graph: Graph, words: Words, mark: str, joined: set[str]) -> Words:
    """Cut words before each mark that a character is before which is none of `joined`."""
    is_cut = graph.equal(words.codes, np.int32(ord(mark)))
    for character in sorted(joined):
        follows = graph.equal(before(graph, words.codes, np.int32(0)), np.int32(ord(character)))
        is_cut = graph.node("And", is_cut, graph.node("Not", follows))
    is_start = graph.node("Or", _is_start(graph, words.words), is_cut)
    (owners,) = keep(graph, is_start, words.words)
    numbers = graph.sub(running_sum(graph, graph.cast(is_start, np.int64)), np.int64(1))
    return Words(words.codes, numbers, take(graph, words.texts, owners))


def _find_whole(graph: Graph, words: Words, tokenizer: Tokenizer, pieces: Mapping[str, int]) -> Value:
    """Return the id, int32 (words,), of each word that is one token or an added token; -1 for others."""
    known = _list_whole_words(tokenizer, pieces)
    if not known:
        starts = find_true(graph, _is_start(graph, words.words))
        return with_added_tokens(graph, take(graph, words.codes, starts), np.int32(-1))
    trie = PieceTrie(compile_trie(known), "words")
    walks = walk_words(graph, words, trie, trie.longest)
    ids, lengths = trie.last_piece(graph, walks.states)
    is_whole = graph.equal(graph.cast(lengths, np.int64), graph.sub(walks.ends, walks.starts))
    ids = graph.where(is_whole, ids, np.int32(-1))
    return with_added_tokens(graph, take(graph, words.codes, walks.starts), ids)


def _list_whole_words(tokenizer: Tokenizer, pieces: Mapping[str, int]) -> dict[str, int]:
    """Return the words of which the model makes one token, with the id of that."""
    suffix = json.loads(tokenizer.model.__getstate__())["end_of_word_suffix"] or ""
    candidates = set(pieces) | {piece.removesuffix(suffix) for piece in pieces}
    known = {}
    for word in sorted(candidates - {""}):
        tokens = tokenizer.model.tokenize(word)
        if len(tokens) == 1:
            known[word] = tokens[0].id
    return known
