"""NFD, NFC, NFKD and NFKC, which must see what stands beside a character only if a text has certain marks.

The form of a text is that of its characters, one after the other, if marks are in canonical order and, for
NFC and NFKC, no character is there that can be the second of a composition. Otherwise all is decomposed, put
in order and composed again.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from tokenizers import normalizers

from portvec._vocabulary.components import Component
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.flat import Characters, any_true
from portvec_export._text_input.arrays.images import Images, Slowly
from portvec_export._text_input.normalization.canonical_order import (
    class_table,
    find_out_of_order,
    put_in_order,
)
from portvec_export._text_input.normalization.compositions import compose, find_joining, look_up_facts

_NORMALIZERS: Final = {
    "NFC": normalizers.NFC,
    "NFD": normalizers.NFD,
    "NFKC": normalizers.NFKC,
    "NFKD": normalizers.NFKD,
}
_HANGUL: Final = range(0xAC00, 0xD7A4)


def add_normal_form(graph: Graph, characters: Characters, state: Component, name: str) -> Characters:
    """Return characters in the normal form that the `state` of a normalizer names."""
    form = state["type"]
    if form in ("NFD", "NFKD"):
        mapped = _find_images(form).add(graph, characters, name)
        classes = class_table().look_up(graph, mapped.codes)
        return put_in_order(graph, mapped, classes)
    slowly = Slowly(_find_hard(form), lambda inner, _, map_all: _compose(inner, map_all(), name))
    return _find_images(form).add(graph, characters, name, slowly)


def _compose(graph: Graph, mapped: Characters, name: str) -> Characters:
    """Return the composition of characters that have become what they do alone."""
    facts = look_up_facts(graph, mapped.codes)
    is_second = graph.node("Greater", facts.columns, np.int32(0))
    is_hard = graph.node("Or", is_second, find_out_of_order(graph, mapped, facts.classes))

    def recompose(inner: Graph) -> list[Value]:
        decomposed = _find_decompositions().add(inner, mapped, f"{name}.decomposed")
        classes = class_table().look_up(inner, decomposed.codes)
        ordered = put_in_order(inner, decomposed, classes)
        composed = compose(inner, ordered, look_up_facts(inner, ordered.codes))
        return [composed.codes, composed.texts]

    types = [(np.int32, [None]), (np.int64, [None])]
    result = graph.branch(any_true(graph, is_hard), recompose, lambda _: [mapped.codes, mapped.texts], types)
    return Characters(*result)


@cache
def _find_hard(form: str) -> npt.NDArray[np.int64]:
    """Return the characters that become something that may be composed or moved."""
    joins = find_joining()
    hard = joins.copy()
    for code, image in _find_images(form).changed.items():
        hard[code] = joins[[ord(character) for character in image]].any()
    return np.flatnonzero(hard)


@cache
def _find_images(form: str) -> Images:
    return Images(_NORMALIZERS[form]().normalize_str)


@cache
def _find_decompositions() -> Images:
    """Return decompositions. Syllables of Hangul, which compositions may begin with, need none."""
    decompose = normalizers.NFD().normalize_str
    # It is asked about whole texts too.
    return Images(lambda text: "".join(c if ord(c) in _HANGUL else decompose(c) for c in text))
