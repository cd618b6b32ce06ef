"""The canonical order of marks: those after a character are sorted by their combining class.

Which characters are marks, and which come first, is asked of the normalizer: it may know another version of
Unicode than Python does.
"""

from __future__ import annotations

from functools import cache, cmp_to_key

import numpy as np
import numpy.typing as npt
from tokenizers import normalizers

from portvec_export._onnx.builder import Graph
from portvec_export._text_input.flat import Characters, before, count, look_up, running_sum, take
from portvec_export._text_input.images import CODES, scalar_values
from portvec_export._vocabulary.tables import pack_table

# A mark of a low class and one of a high class: beside one of them, each mark moves.
_LOW, _HIGH = "\u0334", "\u0345"
_BLOCK = 64


def add_canonical_order(graph: Graph, characters: Characters, name: str) -> Characters:
    """Return decomposed characters in canonical order. Arrays get names that begin with `name`."""
    names = (f"{name}.class_pages", f"{name}.classes")
    packed = pack_table(*names, find_classes())
    codes, texts = characters.codes, characters.texts
    known = graph.maximum(codes, np.int32(0))
    classes = look_up(graph, known, packed[names[0]], packed[names[1]], names)
    classes = graph.where(graph.equal(known, codes), classes, np.int32(0))
    starts_text = graph.node("Not", graph.equal(texts, before(graph, texts, np.int64(-1))))
    starts = graph.node("Or", graph.equal(classes, np.int32(0)), starts_text)
    runs = running_sum(graph, graph.cast(starts, np.int64))
    # The place makes the keys different, so that equal classes stay in their order.
    size = count(graph, codes)
    keys = graph.add(graph.mul(runs, np.int64(256)), graph.cast(classes, np.int64))
    numbers = graph.sub(running_sum(graph, graph.where(starts, np.int64(1), np.int64(1))), np.int64(1))
    keys = graph.add(graph.mul(keys, size), numbers)
    _, order = graph.nodes("TopK", 2, keys, size, axis=0, largest=0, sorted=1)
    return Characters(take(graph, codes, order), texts)


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
