"""WordLevel: a word is one token, or unknown."""

from __future__ import annotations

import numpy as np
from tokenizers import Tokenizer

from portvec_export._onnx.builder import Graph
from portvec_export._text_input.arrays.flat import Ids, Words, take
from portvec_export._text_input.arrays.trie import PieceTrie
from portvec_export._text_input.models.word_walks import walk_words, with_added_tokens
from portvec_export._vocabulary.models import compile_model


def add_wordlevel(graph: Graph, words: Words, tokenizer: Tokenizer) -> Ids:
    """Return the ids that a WordLevel model gives.

    Raises:
        NotCompilable: its unknown token is not in the vocabulary.
    """
    facts, arrays = compile_model(tokenizer)
    trie = PieceTrie(arrays)
    walks = walk_words(graph, words, trie, trie.longest)
    ids, lengths = trie.last_piece(graph, walks.states)
    is_whole = graph.equal(graph.cast(lengths, np.int64), graph.sub(walks.ends, walks.starts))
    ids = graph.where(is_whole, ids, np.int32(facts["unk_id"]))
    return Ids(with_added_tokens(graph, take(graph, words.codes, walks.starts), ids), words.texts)
