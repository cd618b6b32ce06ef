"""The Unigram model in a graph."""

from __future__ import annotations

from typing import Final

import numpy as np
from tokenizers import Tokenizer

from portvec_export._onnx.builder import Graph
from portvec_export._text_input.flat import Ids, Words, take
from portvec_export._text_input.lattice import choose, find_edges, lay_rows, read_back
from portvec_export._text_input.trie import PieceTrie
from portvec_export._text_input.unknown import fuse, name
from portvec_export._vocabulary.models import compile_model

# How much lower the score of an unknown character is than that of any piece.
_PENALTY: Final = 10.0


def add_unigram(graph: Graph, words: Words, tokenizer: Tokenizer) -> Ids:
    """Return the ids of words, as the Unigram model of a tokenizer gives them.

    Raises:
        NotCompilable: the model has something that cannot be done exactly.
    """
    facts, arrays = compile_model(tokenizer)
    unk_id, scores = facts["unk_id"], arrays["score"]
    trie = PieceTrie(arrays)
    symbols = trie.symbols(graph, words.codes)
    rows = lay_rows(graph, words.words)
    edges = find_edges(graph, trie, symbols, rows, scores, float(scores.min()) - _PENALTY)
    chosen = choose(graph, edges, rows)
    lasts = read_back(graph, take(graph, edges.steps, chosen), rows)
    chosen = take(graph, chosen, lasts)
    starts = graph.sub(lasts, graph.cast(take(graph, edges.steps, chosen), np.int64))
    tokens = take(graph, edges.tokens, chosen)
    runs = fuse(graph, words, starts, tokens, unk_id, trie=trie, symbols=symbols)
    return name(graph, words, runs, unk_id, arrays.get("byte_ids"))
