"""BertNormalizer: cleans text, puts spaces around Chinese characters, strips accents and lowers case.

Each character becomes the same whatever stands beside it, with one exception. To strip accents, text is
decomposed, which puts marks in order, and then nonspacing marks are dropped. A few others are left, and they
may have changed places.
"""

from __future__ import annotations

import numpy as np

from portvec._vocabulary.components import Component
from portvec_export._onnx.builder import Graph
from portvec_export._text_input.arrays.flat import Characters
from portvec_export._text_input.arrays.images import Slowly, find_images
from portvec_export._text_input.normalization.canonical_order import add_canonical_order, find_classes
from portvec_export._vocabulary.normalizer_steps import load_normalizer


def strips_accents(state: Component) -> bool:
    """Return whether a BertNormalizer strips accents."""
    strips = state["strip_accents"]
    return bool(state["lowercase"] if strips is None else strips)


def add_bert_normalizer(graph: Graph, characters: Characters, state: Component, name: str) -> Characters:
    """Return what a BertNormalizer makes of characters. Arrays get names that begin with `name`."""
    images = find_images(state)
    if not strips_accents(state):
        return images.add(graph, characters, name)
    cleaned = {**state, "lowercase": False, "strip_accents": False}
    decomposed = {"type": "Sequence", "normalizers": [cleaned, {"type": "NFD"}]}
    stripped = {**state, "clean_text": False, "handle_chinese_chars": False, "strip_accents": True}

    def add_in_order(inner: Graph, given: Characters, _: object) -> Characters:
        given = find_images(decomposed).add(inner, given, f"{name}.decomposed")
        given = add_canonical_order(inner, given)
        return find_images(stripped).add(inner, given, f"{name}.stripped")

    strip = load_normalizer(stripped)
    kept = {image for mark in np.flatnonzero(find_classes()).tolist() for image in strip(chr(mark))}
    moving = {ord(mark) for mark in kept}
    moving.update(code for code, image in images.changed.items() if not kept.isdisjoint(image))
    return images.add(graph, characters, name, Slowly(np.array(sorted(moving)), add_in_order))
