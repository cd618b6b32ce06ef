"""The pre-tokenizer Metaspace: spaces become a mark, pieces begin with one, and each mark begins a piece."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from portvec._vocabulary.components import Component, depends_on_position, list_steps
from portvec_export._onnx.builder import Graph
from portvec_export._text_input.arrays.edits import insert_before
from portvec_export._text_input.arrays.flat import Characters, at_most, before
from portvec_export._text_input.arrays.segments import Pieces, differs
from portvec_export._text_input.errors import NotExpressible

# Normalizers after which what begins a text counts as its first character. Precompiled may drop that one, but
# `tokenizers` then takes the next for it.
_KEEPING_FIRST = frozenset({"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Precompiled", "Prepend"})


def add_metaspace(graph: Graph, pieces: Pieces, state: Component, name: str) -> Pieces:
    """Cut pieces as Metaspace does. `check_position` must have passed the tokenizer."""
    del name
    mark = np.int32(ord(state["replacement"]))
    codes = graph.where(graph.equal(pieces.codes, np.int32(ord(" "))), mark, pieces.codes)
    texts, starts = pieces.texts, pieces.starts
    scheme = state["prepend_scheme"]
    if scheme != "never":
        is_open = graph.node("And", starts, differs(graph, codes, mark))
        is_open = graph.node("And", is_open, at_most(graph, np.int32(0), codes))
        if scheme == "first":
            is_first = differs(graph, texts, before(graph, texts, np.int64(-1)))
            is_open = graph.node("And", is_open, is_first)
        longer, places = insert_before(graph, Characters(codes, texts), is_open, state["replacement"])
        # What is inserted is the start of a piece.
        starts = graph.node("And", starts, graph.node("Not", is_open))
        every = graph.node("Expand", np.array([True]), graph.node("Shape", longer.codes))
        starts = graph.node("ScatterElements", every, places, starts, axis=0)
        codes, texts = longer.codes, longer.texts
    if state["split"]:
        starts = graph.node("Or", starts, graph.equal(codes, mark))
    return Pieces(codes, texts, starts)


def _keeps_first(step: Component, mark: str) -> bool:
    """Return whether a normalizer leaves something of the first character, or a mark in its place."""
    if step["type"] == "Replace":
        is_single = len(step["pattern"].get("String", "")) == 1
        return step["content"] in (" ", mark) or (is_single and step["content"] != "")
    if step["type"] == "Strip":
        return not step["strip_left"]
    return step["type"] in _KEEPING_FIRST


def check_position(
    normalizer: Component | None, pre_tokenizer: Component | None, added_tokens: Sequence[Component]
) -> None:
    """Check that the graph knows which piece of a text is its first, if a Metaspace marks only that one.

    `tokenizers` takes as first what begins with the first character of the text before it was normalized, so
    there is none if that character was dropped.

    Args:
        normalizer: its entry in tokenizer.json.
        pre_tokenizer: its entry in tokenizer.json.
        added_tokens: their entries in tokenizer.json.

    Raises:
        NotExpressible: the graph does not know.
    """
    steps = list_steps(pre_tokenizer)
    if not depends_on_position(steps):
        return
    if depends_on_position(steps[1:]):
        raise NotExpressible("its Metaspace with the scheme 'first' follows another pre-tokenizer")
    for step in list_steps(normalizer):
        if not _keeps_first(step, steps[0]["replacement"]):
            raise NotExpressible(
                f"its Metaspace with the scheme 'first' follows a normalizer of the type {step['type']}"
            )
    if normalizer is not None and any(token["normalized"] for token in added_tokens):
        raise NotExpressible("its Metaspace with the scheme 'first' follows tokens that are normalized")
