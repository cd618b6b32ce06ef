"""ByteLevel in a graph: GPT-2's pattern, and the bytes of UTF-8 written as characters."""

from __future__ import annotations

import numpy as np

from portvec._vocabulary.components import Component
from portvec._vocabulary.kinds import SPACE
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.byte_characters import spell_bytes
from portvec_export._text_input.arrays.expansion import repeat
from portvec_export._text_input.arrays.flat import after, before, take
from portvec_export._text_input.arrays.segments import Pieces, differs
from portvec_export._text_input.pre_tokenization.contractions import cut_contractions
from portvec_export._text_input.pre_tokenization.kinds import add_kinds
from portvec_export._text_input.pre_tokenization.regex_kinds import find_regex_kinds


def add_byte_level(graph: Graph, pieces: Pieces, state: Component, name: str) -> Pieces:
    """Cut by the pattern, if the state says so, and write the bytes of each character as characters."""
    if state["add_prefix_space"]:
        pieces = _add_spaces(graph, pieces)
    if state["use_regex"]:
        pieces = cut_gpt2(graph, pieces, name)
    codes, texts, numbers = spell_bytes(graph, pieces.codes, pieces.texts, _number(graph, pieces.starts))
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


_SPACE = ord(" ")
