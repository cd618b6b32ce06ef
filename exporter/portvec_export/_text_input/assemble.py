"""A whole tokenizer in a graph."""

from __future__ import annotations

from tokenizers import Tokenizer

from portvec._tokenization.library import read_parts
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.added_tokens import add_added_tokens
from portvec_export._text_input.arrays.flat import Ids
from portvec_export._text_input.code_points import flatten
from portvec_export._text_input.models.model import add_model
from portvec_export._text_input.normalization.normalizers import add_normalizer
from portvec_export._text_input.pre_tokenization.metaspace import check_position
from portvec_export._text_input.pre_tokenization.pre_tokenizers import add_pre_tokenizer


def add_tokenizer(graph: Graph, matrix: Value, tokenizer: Tokenizer, max_characters: int | None) -> Ids:
    """Return the ids that a tokenizer gives for texts, without special tokens, padding or truncation.

    Args:
        graph: to add the nodes to.
        matrix: int32 (texts, length), the code points of each text, padded with -1.
        tokenizer: whose ids to give.
        max_characters: how many characters of a text are read; None for all.

    Raises:
        NotExpressible: the tokenizer has something that the graph cannot do exactly.
    """
    parts = read_parts(tokenizer)
    check_position(parts["normalizer"], parts["pre_tokenizer"], parts["added_tokens"])
    characters = flatten(graph, matrix, max_characters)
    characters = add_added_tokens(graph, characters, parts, normalized=False)
    characters = add_normalizer(graph, characters, parts["normalizer"])
    characters = add_added_tokens(graph, characters, parts, normalized=True)
    words = add_pre_tokenizer(graph, characters, parts["pre_tokenizer"])
    return add_model(graph, words, tokenizer)
