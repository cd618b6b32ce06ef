"""Pieces that are contractions, as 's and 'll, in patterns of GPT-2 and later models."""

from __future__ import annotations

import numpy as np

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.flat import count, find_true, keep, mark, take
from portvec_export._text_input.arrays.segments import Pieces

# What stands for each letter, if case does not matter: a long s is an s.
_ANY_CASE = {"s": "sS\u017f", **{letter: letter + letter.upper() for letter in "tmdlver"}}


def cut_contractions(graph: Graph, pieces: Pieces, starts: Value, *, any_case: bool = False) -> Value:
    """Return where smaller pieces start, bool (characters,), once contractions are pieces.

    Args:
        graph: to add the nodes to.
        pieces: those that are split.
        starts: bool (characters,), where smaller pieces start so far. A contraction starts there as well.
        any_case: whether capital letters are like others.
    """
    is_apostrophe = graph.equal(pieces.codes, np.int32(ord("'")))
    places = find_true(graph, graph.node("And", starts, is_apostrophe))
    last = graph.sub(count(graph, pieces.codes), np.int64(1))
    # `END` is behind the last apostrophe, so there is always one more element.
    following = [graph.minimum(graph.add(places, np.int64(offset)), last) for offset in (1, 2)]
    codes = [
        graph.where(take(graph, pieces.starts, each), np.int32(0), take(graph, pieces.codes, each))
        for each in following
    ]

    def is_letter(position: int, letter: str) -> Value:
        letters = _ANY_CASE[letter] if any_case else letter
        return _any(graph, [graph.equal(codes[position], np.int32(ord(each))) for each in letters])

    is_short = _any(graph, [is_letter(0, letter) for letter in "stmd"])
    is_long = _any(
        graph,
        [graph.node("And", is_letter(0, pair[0]), is_letter(1, pair[1])) for pair in ("ll", "ve", "re")],
    )
    (inside,) = keep(graph, graph.node("Or", is_short, is_long), following[0])
    ends = [
        graph.add(keep(graph, condition, places)[0], np.int64(length))
        for condition, length in ((is_short, 2), (is_long, 3))
    ]
    return mark(graph, mark(graph, starts, inside, value=False), graph.concat(*ends, axis=0))


def _any(graph: Graph, conditions: list[Value]) -> Value:
    found = conditions[0]
    for condition in conditions[1:]:
        found = graph.node("Or", found, condition)
    return found
