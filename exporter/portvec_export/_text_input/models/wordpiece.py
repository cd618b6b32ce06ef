"""WordPiece: the longest piece that a word begins with, then the longest that goes on, and so forth."""

from __future__ import annotations

import numpy as np
from tokenizers import Tokenizer

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Type, Value
from portvec_export._text_input.arrays.flat import Ids, Words, at_most, find_true, is_any, take
from portvec_export._text_input.arrays.trie import PieceTrie
from portvec_export._text_input.models.word_walks import WordWalks, walk_words, with_added_tokens
from portvec_export._vocabulary.models import compile_model

# More characters than any piece of a real vocabulary has, and fewer than int64 holds.
_UNLIMITED = 2**40


def add_wordpiece(graph: Graph, words: Words, tokenizer: Tokenizer) -> Ids:
    """Return the ids that a WordPiece model gives.

    Raises:
        NotCompilable: its unknown token is not in the vocabulary.
    """
    facts, arrays = compile_model(tokenizer)
    trie = PieceTrie(arrays)
    limit = min(facts["max_input_chars_per_word"], _UNLIMITED)
    walks = walk_words(graph, words, trie, limit)
    pieces, is_unknown = _cut(graph, words, walks, trie, facts["continuing_subword_prefix"])
    # An unknown word has no pieces, and the unknown token is where it begins.
    unknown = graph.where(walks.is_start, np.int32(facts["unk_id"]), np.int32(-1))
    pieces = graph.where(take(graph, is_unknown, words.words), unknown, pieces)
    pieces = with_added_tokens(graph, words.codes, pieces)
    places = find_true(graph, at_most(graph, np.int32(0), pieces))
    return Ids(take(graph, pieces, places), take(graph, words.texts, take(graph, words.words, places)))


def _cut(graph: Graph, words: Words, walks: WordWalks, trie: PieceTrie, prefix: str) -> tuple[Value, Value]:
    """Cut words into pieces.

    Returns:
        the id of the piece that begins at each character, int32 (characters,), -1 if none does, and whether
        each word has a part that begins with no piece, bool (words,).
    """
    ids, lengths = trie.last_piece(graph, walks.states)
    # Pieces that go on lie below the state that the prefix leads to.
    root = trie.state_after(prefix)
    nothing = graph.sub(graph.mul(words.codes, np.int32(0)), np.int32(1))
    pieces = graph.node("ScatterElements", nothing, walks.starts, ids, axis=0)
    stops = graph.add(walks.starts, graph.cast(lengths, np.int64))
    is_unknown = graph.node("Less", ids, np.int32(0))
    rows = find_true(graph, graph.node("And", graph.node("Not", is_unknown), _less(graph, stops, walks.ends)))
    if root is None:
        true = graph.equal(rows, rows)
        return pieces, graph.node("ScatterElements", is_unknown, rows, true, axis=0)

    def go_on(body: Graph, trip: Value, values: list[Value]) -> tuple[Value, list[Value]]:
        rows, places, pieces, is_unknown = values
        roots = body.cast(body.mul(rows, np.int64(0)), np.int32)
        roots = body.add(roots, np.int32(root))
        states = trie.walk(body, walks.symbols, places, roots, trie.longest - len(prefix))
        ids, lengths = trie.last_piece(body, states)
        found = body.node("Greater", lengths, np.int32(len(prefix)))
        pieces = body.node("ScatterElements", pieces, places, ids, axis=0)
        is_unknown = body.node("ScatterElements", is_unknown, rows, body.node("Not", found), axis=0)
        stops = body.add(places, body.cast(body.sub(lengths, np.int32(len(prefix))), np.int64))
        going = _less(body, stops, take(body, walks.ends, rows))
        going = find_true(body, body.node("And", found, going))
        rows, places = take(body, rows, going), take(body, stops, going)
        return is_any(body, rows), [rows, places, pieces, is_unknown]

    types: list[Type] = [(each, [None]) for each in (np.int64, np.int64, np.int32, np.bool_)]
    values = [rows, take(graph, stops, rows), pieces, is_unknown]
    pieces, is_unknown = graph.loop(values, go_on, types, condition=is_any(graph, rows))[2:]
    return pieces, is_unknown


def _less(graph: Graph, a: Value, b: Value) -> Value:
    return graph.node("Less", a, b)
