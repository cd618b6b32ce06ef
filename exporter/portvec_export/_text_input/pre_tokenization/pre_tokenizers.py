"""The pre-tokenizer of a tokenizer, step by step. `_STEPS` has a function for each type of step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from portvec._vocabulary.components import Component, list_steps
from portvec_export._onnx.builder import Graph
from portvec_export._text_input.arrays.flat import Characters, Words
from portvec_export._text_input.arrays.segments import Pieces, cut_at_tokens, to_words
from portvec_export._text_input.errors import NotExpressible
from portvec_export._text_input.pre_tokenization.byte_level import add_byte_level
from portvec_export._text_input.pre_tokenization.kinds import (
    add_bert,
    add_delimiter,
    add_digits,
    add_punctuation,
    add_whitespace,
)
from portvec_export._text_input.pre_tokenization.metaspace import add_metaspace
from portvec_export._text_input.pre_tokenization.split_patterns import add_split_by_pattern

# Cuts pieces as a step with a state in tokenizer.json does. Arrays get names that begin with the last one.
CutPieces: TypeAlias = Callable[[Graph, Pieces, Component, str], Pieces]

_STEPS: Final[dict[str, CutPieces]] = {
    "BertPreTokenizer": add_bert,
    "ByteLevel": add_byte_level,
    "CharDelimiterSplit": add_delimiter,
    "Digits": add_digits,
    "Metaspace": add_metaspace,
    "Punctuation": add_punctuation,
    "Split": add_split_by_pattern,
    "Whitespace": add_whitespace,
    "WhitespaceSplit": add_whitespace,
}


def add_pre_tokenizer(graph: Graph, characters: Characters, pre_tokenizer: Component | None) -> Words:
    """Return the words of normalized characters.

    Args:
        graph: the graph to add to.
        characters: of texts, with added tokens among them.
        pre_tokenizer: its entry in tokenizer.json. Without one, the text between two added tokens is a word.

    Raises:
        NotExpressible: it has a step that the graph cannot do.
    """
    pieces = cut_at_tokens(graph, characters)
    for number, state in enumerate(list_steps(pre_tokenizer)):
        if state["type"] not in _STEPS:
            raise NotExpressible(f"its pre-tokenizer has a step of the type {state['type']}")
        pieces = _STEPS[state["type"]](graph, pieces, state, f"pre_tokenizer_{number}")
    return to_words(graph, pieces)
