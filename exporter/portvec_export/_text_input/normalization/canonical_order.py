"""The canonical order of marks: those after a character are sorted by their combining class.

Which characters are marks, and which come first, is asked of the normalizer: it may know another version of
Unicode than Python does.
"""

from __future__ import annotations

from functools import cache, cmp_to_key
from typing import Final

import numpy as np
import numpy.typing as npt
from tokenizers import normalizers

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.code_tables import CodeTable
from portvec_export._text_input.arrays.flat import (
    Characters,
    any_true,
    before,
    count,
    find_true,
    list_places,
    running_sum,
    take,
)
from portvec_export._text_input.arrays.images import CODES, scalar_values

# A mark of a low class and one of a high class: beside one of them, each mark moves.
_LOW, _HIGH = "\u0334", "\u0345"
_BLOCK = 64

# Ranks of classes are below this.
CLASSES: Final = 256


def add_canonical_order(graph: Graph, characters: Characters) -> Characters:
    """Return decomposed characters in canonical order."""
    return put_in_order(graph, characters, class_table().look_up(graph, characters.codes))


def put_in_order(graph: Graph, characters: Characters, classes: Value) -> Characters:
    """Return characters in canonical order; `classes`, int32 (characters,), are those of `find_classes`."""

    def identity(inner: Graph) -> list[Value]:
        return [inner.identity(characters.codes)]

    def sort(inner: Graph) -> list[Value]:
        return [_sort_marks(inner, characters, classes)]

    condition = any_true(graph, find_out_of_order(graph, characters, classes))
    (codes,) = graph.branch(condition, sort, identity, [(np.int32, [None])])
    return Characters(codes, characters.texts)


def find_out_of_order(graph: Graph, characters: Characters, classes: Value) -> Value:
    """Return which characters must come before the one that is before them, bool (characters,)."""
    texts = characters.texts
    is_mark = graph.node("Greater", classes, np.int32(0))
    is_less = graph.node("Less", classes, before(graph, classes, np.int32(0)))
    is_inside = graph.equal(texts, before(graph, texts, np.int64(-1)))
    return graph.node("And", graph.node("And", is_mark, is_less), is_inside)


def _sort_marks(graph: Graph, characters: Characters, classes: Value) -> Value:
    """Return the codes with the marks in each run of them sorted. All others stay where they are."""
    texts = characters.texts
    is_inside = graph.equal(texts, before(graph, texts, np.int64(-1)))
    is_mark = graph.node("Greater", classes, np.int32(0))
    is_start = graph.node("Not", graph.node("And", is_mark, is_inside))
    runs = running_sum(graph, graph.cast(is_start, np.int64))
    marks = find_true(graph, is_mark)
    # The number of a mark makes the keys different, so that equal classes stay in their order.
    size = count(graph, marks)
    numbers = list_places(graph, marks)
    keys = graph.mul(take(graph, runs, marks), np.int64(CLASSES))
    keys = graph.add(keys, graph.cast(take(graph, classes, marks), np.int64))
    keys = graph.add(graph.mul(keys, size), numbers)
    _, order = graph.nodes("TopK", 2, keys, size, axis=0, largest=0, sorted=1)
    # Runs and marks in them rise from left to right, so the sorted marks go to the places in their order.
    sorted_marks = take(graph, characters.codes, take(graph, marks, order))
    return graph.node("ScatterElements", characters.codes, marks, sorted_marks, axis=0)


@cache
def class_table() -> CodeTable:
    """Return the table of `find_classes`."""
    return CodeTable("combining_classes", find_classes())


@cache
def find_classes() -> npt.NDArray[np.int32]:
    """Return the rank of the combining class of each code point, below 256; 0 where marks do not move."""
    decompose = normalizers.NFD().normalize_str

    def find_marks(codes: list[int]) -> list[int]:
        """Return which of some characters move beside a mark. Most blocks have none."""
        text = "".join(f"a{_HIGH}{chr(code)}{_LOW}" for code in codes)
        if decompose(text) == text:
            return []
        if len(codes) > 1:
            half = len(codes) // 2
            return [*find_marks(codes[:half]), *find_marks(codes[half:])]
        character = chr(codes[0])
        return codes if decompose(character) == character else []

    every = list(scalar_values())
    marks = [mark for at in range(0, len(every), _BLOCK) for mark in find_marks(every[at : at + _BLOCK])]

    def compare(first: int, second: int) -> int:
        pair, turned = chr(first) + chr(second), chr(second) + chr(first)
        return (decompose(pair) != pair) - (decompose(turned) != turned)

    ranks = np.zeros(CODES, dtype=np.int32)
    rank, previous = 0, None
    for mark in sorted(marks, key=cmp_to_key(compare)):
        rank += previous is None or compare(previous, mark) != 0
        ranks[mark] = rank
        previous = mark
    return ranks
