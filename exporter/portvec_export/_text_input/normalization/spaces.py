"""The normalizers Strip, which drops white space at the ends of what is between added tokens, and Prepend."""

from __future__ import annotations

from functools import cache

import numpy as np

from portvec._vocabulary.components import Component
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.code_tables import CodeTable
from portvec_export._text_input.arrays.edits import insert_before
from portvec_export._text_input.arrays.flat import (
    Characters,
    after,
    any_true,
    at_most,
    find_true,
    keep,
    running_sum,
    take,
)
from portvec_export._text_input.arrays.images import CODES, scalar_values
from portvec_export._text_input.arrays.segments import cut_at_tokens
from portvec_export._vocabulary.normalizer_steps import load_normalizer


def add_strip(graph: Graph, characters: Characters, state: Component, name: str) -> Characters:
    """Drop white space on the sides that the `state` names."""
    del name
    codes, texts = characters.codes, characters.texts
    pieces = cut_at_tokens(graph, characters)
    ends = after(graph, pieces.starts, np.True_)
    edges = []
    if state["strip_left"]:
        edges.append(pieces.starts)
    if state["strip_right"]:
        edges.append(ends)
    if not edges:
        return characters
    is_edge = edges[0] if len(edges) == 1 else graph.node("Or", *edges)

    def strip(inner: Graph) -> list[Value]:
        is_space = inner.cast(_white_space().look_up(inner, codes), np.bool_)
        others = running_sum(inner, inner.where(is_space, np.int64(0), np.int64(1)))
        numbers = running_sum(inner, inner.cast(pieces.starts, np.int64))
        # Others up to the end of each piece, with one more for what is before the first piece
        up_to = inner.concat(np.array([0], np.int64), take(inner, others, find_true(inner, ends)), axis=0)
        outside = []
        if state["strip_left"]:
            before_piece = take(inner, up_to, inner.sub(numbers, np.int64(1)))
            outside.append(inner.equal(others, before_piece))
        if state["strip_right"]:
            outside.append(inner.equal(others, take(inner, up_to, numbers)))
        is_outside = outside[0] if len(outside) == 1 else inner.node("Or", *outside)
        is_dropped = inner.node("And", is_outside, is_space)
        return keep(inner, inner.node("Not", is_dropped), codes, texts)

    def identity(inner: Graph) -> list[Value]:
        return [inner.identity(codes), inner.identity(texts)]

    # END is at an edge, so there is one.
    at_edges = take(graph, codes, find_true(graph, is_edge))
    condition = any_true(graph, _white_space().look_up(graph, at_edges))
    types = [(np.int32, [None]), (np.int64, [None])]
    return Characters(*graph.branch(condition, strip, identity, types))


def add_prepend(graph: Graph, characters: Characters, state: Component, name: str) -> Characters:
    """Put a text before what is between added tokens."""
    del name
    if not state["prepend"]:
        return characters
    is_start = cut_at_tokens(graph, characters).starts
    is_start = graph.node("And", is_start, at_most(graph, np.int32(0), characters.codes))
    return insert_before(graph, characters, is_start, state["prepend"])[0]


@cache
def _white_space() -> CodeTable:
    """Return a table with 1 for each character that Strip drops."""
    strip = load_normalizer({"type": "Strip", "strip_left": True, "strip_right": True})
    table = np.zeros(CODES, dtype=np.int32)
    table[[code for code in scalar_values() if not strip(chr(code))]] = 1
    return CodeTable("white_space", table)
