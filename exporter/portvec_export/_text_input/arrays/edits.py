"""Putting a text in place of some characters, or before them."""

from __future__ import annotations

import numpy as np

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.expansion import spread
from portvec_export._text_input.arrays.flat import (
    Characters,
    any_true,
    count,
    find_true,
    keep,
    running_sum,
    take,
)
from portvec_export._text_input.arrays.segments import differs


def substitute(
    graph: Graph, characters: Characters, is_replaced: Value, is_dropped: Value, content: str
) -> Characters:
    """Return characters of which some are replaced by `content`, and others are dropped.

    Both conditions are bool (characters,), and never hold for END.
    """
    codes, texts = characters.codes, characters.texts
    is_changed = is_replaced
    if len(content) == 1:
        replaced = graph.where(is_replaced, np.int32(ord(content)), codes)
        is_changed = differs(graph, replaced, codes)

    def change(inner: Graph) -> list[Value]:
        if len(content) == 1:
            return keep(inner, inner.node("Not", is_dropped), replaced, texts)
        sizes = inner.where(is_dropped, np.int64(0), np.int64(1))
        owners, places = spread(inner, inner.where(is_replaced, np.int64(len(content)), sizes))
        # The content is put behind one number, so that it can be read for all characters.
        text = np.array([0, *map(ord, content)], dtype=np.int32)
        is_content = take(inner, is_replaced, owners)
        place = inner.where(is_content, inner.add(places, np.int64(1)), np.int64(0))
        read = take(inner, inner.constant(text), place)
        return [inner.where(is_content, read, take(inner, codes, owners)), take(inner, texts, owners)]

    def identity(inner: Graph) -> list[Value]:
        return [inner.identity(codes), inner.identity(texts)]

    condition = any_true(graph, graph.node("Or", is_changed, is_dropped))
    types = [(np.int32, [None]), (np.int64, [None])]
    return Characters(*graph.branch(condition, change, identity, types))


def insert_before(
    graph: Graph, characters: Characters, is_place: Value, content: str
) -> tuple[Characters, Value]:
    """Put `content`, which is not empty, before each character for which a condition holds.

    Args:
        graph: the graph to add to.
        characters: of texts.
        is_place: bool (characters,).
        content: what to put there.

    Returns:
        the characters, and where those are that were there before, int64 (characters,).
    """
    codes, texts = characters.codes, characters.texts
    size = np.int64(len(content))
    steps = graph.where(is_place, np.int64(size + 1), np.int64(1))
    places = graph.sub(running_sum(graph, steps), np.int64(1))
    total = graph.node("ReduceSum", steps, keepdims=1)
    at = find_true(graph, is_place)
    starts, owners = graph.sub(take(graph, places, at), size), take(graph, texts, at)

    zeros = graph.node("Expand", np.array([0], np.int64), total)
    new_texts = graph.node("ScatterElements", zeros, places, texts, axis=0)
    new_codes = graph.node("Expand", np.array([ord(content[0])], np.int32), total)
    new_codes = graph.node("ScatterElements", new_codes, places, codes, axis=0)
    for number, character in enumerate(content):
        if number:
            number_codes = graph.node("Expand", np.array([ord(character)], np.int32), count(graph, starts))
            new_codes = graph.node("ScatterElements", new_codes, starts, number_codes, axis=0)
        new_texts = graph.node("ScatterElements", new_texts, starts, owners, axis=0)
        starts = graph.add(starts, np.int64(1))
    return Characters(new_codes, new_texts), places
