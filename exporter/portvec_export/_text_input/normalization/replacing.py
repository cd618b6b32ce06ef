"""The normalizer Replace, where what it looks for is a text, or a run of characters of some kind."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import numpy.typing as npt

from portvec._vocabulary.components import Component
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.code_tables import CodeTable
from portvec_export._text_input.arrays.edits import substitute
from portvec_export._text_input.arrays.flat import Characters, after, before, find_true, running_sum, take
from portvec_export._text_input.arrays.images import CODES, scalar_values
from portvec_export._text_input.errors import NotExpressible
from portvec_export._vocabulary.normalizer_steps import load_normalizer

# A regular expression that matches one character, and how often: once, once or more, or at least so often.
_SIMPLE: Final = re.compile(
    r"""
    (?P<one>
        [^\\.\[\]{}()*+?^$|]          # a character that means itself
      | \\[^\w\s]                     # one that would not without the backslash
      | \\[sSdDwW]                    # a kind
      | \\[pP]\{\^?\w+\}              # a property of Unicode
      | \[\^?(?:\\[^\w]|\\[sSdDwW]|[^\[\]\\&])+\]
    )
    (?P<times>\+|\{(?P<least>\d{1,2}),\})?
    """,
    re.VERBOSE | re.DOTALL,
)


def replaces_single_characters(state: Component) -> bool:
    """Return whether a Replace replaces every character by itself, whatever stands beside it."""
    pattern = state["pattern"]
    if "String" in pattern:
        return len(pattern["String"]) == 1
    match = _SIMPLE.fullmatch(pattern["Regex"])
    return match is not None and match["times"] is None


def add_replace(graph: Graph, characters: Characters, state: Component, name: str) -> Characters:
    """Replace as a `state` in tokenizer.json says.

    Raises:
        NotExpressible: it looks for something else than a text or a run.
    """
    pattern = state["pattern"]
    if "String" in pattern:
        return _replace_text(graph, characters, pattern["String"], state["content"])
    match = _SIMPLE.fullmatch(pattern["Regex"])
    least = 0 if match is None else int(match["least"] or 1)
    if match is None or least == 0:
        raise NotExpressible(f"its normalizer replaces the regular expression {pattern['Regex']!r}")
    is_member = _find_members(graph, characters.codes, match["one"], name)
    return _replace_runs(graph, characters, is_member, least, state["content"])


def _replace_text(graph: Graph, characters: Characters, text: str, content: str) -> Characters:
    """Replace a text of several characters; one is an image."""
    if not text:
        raise NotExpressible("its normalizer replaces the empty text")
    codes, texts = characters.codes, characters.texts
    is_run = len(set(text)) == 1
    if not is_run and any(text.endswith(text[:size]) for size in range(1, len(text))):
        raise NotExpressible(f"its normalizer replaces {text!r}, which can overlap with itself")
    is_match = graph.equal(codes, np.int32(ord(text[0])))
    following, their_texts = codes, texts
    for character in text[1:]:
        following = after(graph, following, np.int32(-1))
        their_texts = after(graph, their_texts, np.int64(-1))
        is_here = graph.node(
            "And", graph.equal(their_texts, texts), graph.equal(following, np.int32(ord(character)))
        )
        is_match = graph.node("And", is_match, is_here)
    if is_run:
        # Matches follow each other from the start of the run on.
        _, numbers = _number_in_runs(graph, graph.equal(codes, np.int32(ord(text[0]))), texts)
        rest = graph.node("Mod", numbers, np.int64(len(text)))
        is_match = graph.node("And", is_match, graph.equal(rest, np.int64(0)))
    is_dropped = shifted = before(graph, is_match, np.False_)
    for _ in text[2:]:
        shifted = before(graph, shifted, np.False_)
        is_dropped = graph.node("Or", is_dropped, shifted)
    return substitute(graph, characters, is_match, is_dropped, content)


def _replace_runs(
    graph: Graph, characters: Characters, is_member: Value, least: int, content: str
) -> Characters:
    """Replace each run of members, at least so long, by the content."""
    is_inside = _follows_member(graph, is_member, characters.texts)
    is_start = graph.node("And", is_member, graph.node("Not", is_inside))
    if least == 1:
        return substitute(graph, characters, is_start, is_inside, content)
    if least == 2:
        is_start = graph.node("And", is_start, after(graph, is_inside, np.False_))
        return substitute(graph, characters, is_start, is_inside, content)
    # A run is long enough if it has a character with this number.
    starts, numbers = _number_in_runs(graph, is_member, characters.texts)
    is_last = graph.node("And", is_member, graph.equal(numbers, np.int64(least - 1)))
    its_start = take(graph, starts, find_true(graph, is_last))
    none = graph.node("And", is_member, graph.node("Not", is_member))
    every = graph.node("Expand", np.array([True]), graph.node("Shape", its_start))
    is_long = graph.node("ScatterElements", none, its_start, every, axis=0)
    is_dropped = graph.node("And", is_inside, take(graph, is_long, starts))
    return substitute(graph, characters, is_long, is_dropped, content)


def _follows_member(graph: Graph, is_member: Value, texts: Value) -> Value:
    """Return which members have one before them in their text."""
    is_inside = graph.node("And", is_member, before(graph, is_member, np.False_))
    return graph.node("And", is_inside, graph.equal(texts, before(graph, texts, np.int64(-1))))


def _number_in_runs(graph: Graph, is_member: Value, texts: Value) -> tuple[Value, Value]:
    """Return where the run of each member begins, and its number in that, int64 (characters,), from 0 on."""
    is_start = graph.node("Not", _follows_member(graph, is_member, texts))
    runs = graph.sub(running_sum(graph, graph.cast(is_start, np.int64)), np.int64(1))
    starts = take(graph, find_true(graph, is_start), runs)
    places = graph.sub(running_sum(graph, graph.where(is_start, np.int64(1), np.int64(1))), np.int64(1))
    return starts, graph.sub(places, starts)


def _find_members(graph: Graph, codes: Value, one: str, name: str) -> Value:
    """Return which characters a regular expression for one character matches, bool (characters,)."""
    normalize = load_normalizer({"type": "Replace", "pattern": {"Regex": one}, "content": ""})
    members = [code for code in scalar_values() if not normalize(chr(code))]
    if len(members) == 1:
        return graph.equal(codes, np.int32(members[0]))
    table: npt.NDArray[np.int32] = np.zeros(CODES, dtype=np.int32)
    table[members] = 1
    return graph.cast(CodeTable(name, table).look_up(graph, codes), np.bool_)
