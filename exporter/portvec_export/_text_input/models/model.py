"""From words to token ids, as the model of a tokenizer does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from tokenizers import Tokenizer

from portvec_export._onnx.builder import Graph
from portvec_export._text_input.arrays.flat import Ids, Words
from portvec_export._text_input.errors import NotExpressible
from portvec_export._text_input.models.byte_pairs import add_byte_pairs
from portvec_export._text_input.models.unigram import add_unigram
from portvec_export._text_input.models.wordlevel import add_wordlevel
from portvec_export._text_input.models.wordpiece import add_wordpiece
from portvec_export._vocabulary.errors import NotCompilable

Adder: TypeAlias = Callable[[Graph, Words, Tokenizer], Ids]

# What adds the nodes of each type of model.
_MODELS: Final[dict[str, Adder]] = {
    "Unigram": add_unigram,
    "BPE": add_byte_pairs,
    "WordLevel": add_wordlevel,
    "WordPiece": add_wordpiece,
}


def add_model(graph: Graph, words: Words, tokenizer: Tokenizer) -> Ids:
    """Return the ids that the model of a tokenizer gives for words.

    Raises:
        NotExpressible: the model has something that the graph cannot do exactly.
    """
    name = type(tokenizer.model).__name__
    if name not in _MODELS:
        raise NotExpressible(f"its model is a {name}")
    try:
        return _MODELS[name](graph, words, tokenizer)
    except NotCompilable as why:
        raise NotExpressible(str(why)) from why
