"""ByteLevel in a graph: GPT-2's pattern, and the bytes of UTF-8 written as characters."""

from __future__ import annotations

import numpy as np

from portvec._vocabulary.byte_level import BYTE_CODES
from portvec._vocabulary.components import Component
from portvec._vocabulary.kinds import SPACE
from portvec_export._onnx.builder import Graph, Type
from portvec_export._onnx.operators import Value
from portvec_export._text_input.contractions import cut_contractions
from portvec_export._text_input.flat import Characters, after, before, take
from portvec_export._text_input.kinds import add_kinds
from portvec_export._text_input.regex_kinds import find_regex_kinds
from portvec_export._text_input.segments import Pieces, differs
from portvec_export._text_input.utf8 import count_bytes, find_bytes, repeat


def normalize_byte_level(graph: Graph, characters: Characters, state: Component, name: str) -> Characters:
    """Write the bytes of each character as characters."""
    return Characters(*_spell(graph, characters.codes, characters.texts))


def add_byte_level(graph: Graph, pieces: Pieces, state: Component, name: str) -> Pieces:
    """Cut by the pattern, if the state says so, and write the bytes of each character as characters."""
    if state["add_prefix_space"]:
        pieces = _add_spaces(graph, pieces)
    if state["use_regex"]:
        pieces = cut_gpt2(graph, pieces, name)
    codes, texts, numbers = _spell(graph, pieces.codes, pieces.texts, _number(graph, pieces.starts))
    return Pieces(codes, texts, differs(graph, numbers, before(graph, numbers, np.int64(0))))


def cut_gpt2(graph: Graph, pieces: Pieces, name: str) -> Pieces:
    """Cut by GPT-2's pattern."""
    kinds = add_kinds(graph, pieces.codes, find_regex_kinds(r"\p{L}"), name)
    return Pieces(pieces.codes, pieces.texts, _find_starts(graph, pieces, kinds))


def _add_spaces(graph: Graph, pieces: Pieces) -> Pieces:
    """Put a space before each piece that does not start with one, and is no added token."""
    is_character = graph.node("GreaterOrEqual", pieces.codes, np.int32(0))
    has_none = graph.node("And", is_character, differs(graph, pieces.codes, graph.constant(np.int32(_SPACE))))
    is_more = graph.cast(graph.node("And", pieces.starts, has_none), np.int32)
    owners, left = repeat(graph, graph.add(is_more, np.int32(1)))
    is_space = graph.equal(left, np.int32(1))
    codes, texts = take(graph, pieces.codes, owners), take(graph, pieces.texts, owners)
    follows_space = before(graph, is_space, np.bool_(False))
    starts = graph.node("And", take(graph, pieces.starts, owners), graph.node("Not", follows_space))
    return Pieces(graph.where(is_space, np.int32(_SPACE), codes), texts, starts)


def _find_starts(graph: Graph, pieces: Pieces, kinds: Value) -> Value:
    """Return where the pattern begins a piece, bool (characters,).

    The pattern takes, at each place, the first of these that it finds: a contraction; letters, numbers or
    others, with a space before them; white space up to the last character of it, or all that ends the piece.
    """
    is_white = graph.equal(kinds, np.int32(SPACE))
    # The last character of white space is on its own, or with what follows.
    ends = graph.node(
        "Or", after(graph, is_white, np.bool_(False)), after(graph, pieces.starts, np.bool_(True))
    )
    is_last = graph.node("And", is_white, graph.node("Not", ends))
    changes = differs(graph, kinds, before(graph, kinds, np.int32(SPACE)))
    follows_space = graph.equal(before(graph, pieces.codes, np.int32(0)), np.int32(_SPACE))
    changes = graph.node("And", changes, graph.node("Not", follows_space))
    starts = graph.node("Or", pieces.starts, graph.node("Or", is_last, changes))
    return cut_contractions(graph, pieces, starts)


def _number(graph: Graph, starts: Value) -> Value:
    """Return the number of each element's piece, from 1 on, int64 (n,)."""
    return graph.node("CumSum", graph.cast(starts, np.int64), np.int64(0))


def _spell(graph: Graph, codes: Value, *others: Value) -> list[Value]:
    """Return a code for each byte of characters, and the others, int64 (n,), for each byte.

    Negative codes stay as they are.
    """
    highest = graph.node("ReduceMax", codes, keepdims=0)

    def spell(body: Graph, codes: Value, found: Value) -> Value:
        written = take(body, body.constant(BYTE_CODES.astype(np.int32)), found)
        return body.where(body.node("Less", codes, np.int32(0)), codes, written)

    def spell_ascii(body: Graph) -> list[Value]:
        return [spell(body, codes, body.maximum(codes, np.int32(0))), *others]

    def spell_any(body: Graph) -> list[Value]:
        counts = count_bytes(body, codes)
        owners, left = repeat(body, counts)
        repeated = take(body, codes, owners)
        known = body.maximum(repeated, np.int32(0))
        found = find_bytes(body, known, take(body, counts, owners), left)
        return [spell(body, repeated, found), *(take(body, each, owners) for each in others)]

    types: list[Type] = [(np.int32, [None]), *((np.int64, [None]) for _ in others)]
    return graph.branch(graph.node("Greater", highest, np.int32(0x7F)), spell_any, spell_ascii, types)


_SPACE = ord(" ")
