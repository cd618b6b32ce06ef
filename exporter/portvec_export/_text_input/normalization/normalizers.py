"""The normalizer of a tokenizer, step by step.

A step that maps each character by itself is in `_BY_CHARACTER`, and `_STEPS` has a function for each other.
Added tokens stay as they are, and the characters between two of them are a text of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Final, TypeAlias

from portvec._vocabulary.components import Component, list_steps
from portvec_export._onnx.builder import Graph
from portvec_export._text_input.arrays.byte_characters import spell_bytes
from portvec_export._text_input.arrays.flat import Characters
from portvec_export._text_input.arrays.images import find_images
from portvec_export._text_input.errors import NotExpressible
from portvec_export._text_input.normalization.bert_normalizer import add_bert_normalizer, strips_accents
from portvec_export._text_input.normalization.normal_forms import add_normal_form
from portvec_export._text_input.normalization.precompiled import add_precompiled
from portvec_export._text_input.normalization.replacing import add_replace, replaces_single_characters
from portvec_export._text_input.normalization.spaces import add_prepend, add_strip

# Adds the step with a state in tokenizer.json. Arrays get names that begin with the last argument.
AddStep: TypeAlias = Callable[[Graph, Characters, Component, str], Characters]


def _add_byte_level(graph: Graph, characters: Characters, state: Component, name: str) -> Characters:
    """Write the bytes of each character as characters."""
    del state, name
    return Characters(*spell_bytes(graph, characters.codes, characters.texts))


_STEPS: Final[dict[str, AddStep]] = {
    "BertNormalizer": add_bert_normalizer,
    "ByteLevel": _add_byte_level,
    **dict.fromkeys(("NFC", "NFD", "NFKC", "NFKD"), add_normal_form),
    "Precompiled": add_precompiled,
    "Prepend": add_prepend,
    "Replace": add_replace,
    "Strip": add_strip,
}

_BY_CHARACTER: Final = frozenset({"Lowercase", "Nmt", "StripAccents"})


def add_normalizer(graph: Graph, characters: Characters, normalizer: Component | None) -> Characters:
    """Return normalized characters.

    Args:
        graph: the graph to add to.
        characters: of texts, with added tokens among them.
        normalizer: its entry in tokenizer.json.

    Raises:
        NotExpressible: it has a step that the graph cannot do.
    """
    number = 0
    for by_character, group in groupby(list_steps(normalizer), _is_by_character):
        # Steps that map each character by itself are one such step together.
        steps = list(group)
        for state in [{"type": "Sequence", "normalizers": steps}] if by_character else steps:
            name = f"normalizer_{number}"
            number += 1
            if by_character:
                characters = find_images(state).add(graph, characters, name)
            elif state["type"] in _STEPS:
                characters = _STEPS[state["type"]](graph, characters, state, name)
            else:
                raise NotExpressible(f"its normalizer has a step of the type {state['type']}")
    return characters


def _is_by_character(state: Component) -> bool:
    kind = state["type"]
    if kind == "Replace":
        return replaces_single_characters(state)
    return kind in _BY_CHARACTER or (kind == "BertNormalizer" and not strips_accents(state))
