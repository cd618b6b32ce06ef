"""The Unigram model in a graph."""

from __future__ import annotations

import numpy as np
from tokenizers import Tokenizer

from portvec_export._onnx.builder import Graph
from portvec_export._text_input.arrays.flat import Ids, Words, count, take
from portvec_export._text_input.models.lattice import choose, lay_rows, read_back
from portvec_export._text_input.models.suffixes import SuffixPieces
from portvec_export._text_input.models.unknown import fuse, name
from portvec_export._vocabulary.models import read_unigram
from portvec_export._vocabulary.pieces import compile_bytes


def add_unigram(graph: Graph, words: Words, tokenizer: Tokenizer) -> Ids:
    """Return the ids of words, as the Unigram model of a tokenizer gives them.

    Raises:
        NotCompilable: the model has something that cannot be done exactly.
    """
    model = read_unigram(tokenizer)
    pieces = SuffixPieces(model.pieces, model.scores)
    longest = pieces.find(graph, words.codes, words.words, count(graph, words.texts))
    rows = lay_rows(graph, words.words)
    chosen = choose(graph, pieces, longest, rows)
    steps = pieces.steps(graph, chosen)
    lasts = read_back(graph, steps, rows)
    starts = graph.sub(lasts, graph.cast(take(graph, steps, lasts), np.int64))
    chosen = take(graph, chosen, lasts)
    runs = fuse(graph, words, starts, chosen, model.unk_id, pieces=pieces, longest=longest)
    byte_ids = compile_bytes(model.pieces)["byte_ids"] if model.byte_fallback else None
    return name(graph, words, runs, model.unk_id, byte_ids)
