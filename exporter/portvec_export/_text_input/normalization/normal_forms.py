"""NFD, NFC, NFKD and NFKC, which must see what stands beside a character only if a text has certain marks.

The form of a text is that of its characters, one after the other, if marks are in canonical order and, for
NFC and NFKC, no character is there that can be the second of a composition. Otherwise all is decomposed, put
in order and composed again.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from tokenizers import normalizers

from portvec._vocabulary.components import Component
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.code_tables import any_true
from portvec_export._text_input.arrays.flat import Characters
from portvec_export._text_input.arrays.images import Images
from portvec_export._text_input.normalization.canonical_order import (
    class_table,
    find_out_of_order,
    put_in_order,
)
from portvec_export._text_input.normalization.compositions import compose, look_up_facts

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
    mapped = _find_images(form).add(graph, characters, name)
    if form in ("NFD", "NFKD"):
        classes = class_table().look_up(graph, mapped.codes)
        return put_in_order(graph, mapped, classes)

    facts = look_up_facts(graph, mapped.codes)
    is_second = graph.node("Greater", facts.columns, np.int32(0))
    is_hard = graph.node("Or", is_second, find_out_of_order(graph, mapped, facts.classes))

    def recompose(inner: Graph) -> list[Value]:
        decomposed = _find_decompositions().add(inner, mapped, f"{name}.decomposed")
        classes = class_table().look_up(inner, decomposed.codes)
        ordered = put_in_order(inner, decomposed, classes)
        composed = compose(inner, ordered, look_up_facts(inner, ordered.codes))
        return [composed.codes, composed.texts]

    def identity(inner: Graph) -> list[Value]:
        return [inner.identity(mapped.codes), inner.identity(mapped.texts)]

    types = [(np.int32, [None]), (np.int64, [None])]
    return Characters(*graph.branch(any_true(graph, is_hard), recompose, identity, types))


@cache
def _find_images(form: str) -> Images:
    return Images(_NORMALIZERS[form]().normalize_str)


@cache
def _find_decompositions() -> Images:
    """Return decompositions. Syllables of Hangul, which compositions may begin with, need none."""
    decompose = normalizers.NFD().normalize_str
    # It is asked about whole texts too.
    return Images(lambda text: "".join(c if ord(c) in _HANGUL else decompose(c) for c in text))
