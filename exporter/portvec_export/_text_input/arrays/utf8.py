"""The bytes of characters in UTF-8, in a graph."""

from __future__ import annotations

import numpy as np

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.flat import take


def count_bytes(graph: Graph, codes: Value) -> Value:
    """Return how many bytes each code point, int32 (n,), has in UTF-8; 1 for negative codes."""
    counts: Value | np.int32 = np.int32(1)
    for first in (0x80, 0x800, 0x10000):
        more = graph.node("GreaterOrEqual", codes, np.int32(first))
        counts = graph.add(graph.cast(more, np.int32), counts)
    assert isinstance(counts, Value)
    return counts


def find_bytes(graph: Graph, codes: Value, counts: Value, left: Value) -> Value:
    """Return a byte, int32 (m,), of each code point, int32 (m,), none of which is negative.

    Args:
        graph: to add the nodes to.
        codes: int32 (m,).
        counts: int32 (m,), how many bytes the code point has.
        left: int32 (m,), how many of its bytes come after this one.
    """
    shifted = graph.div(codes, take(graph, graph.constant(_UNITS), left))
    low = graph.sub(shifted, graph.mul(graph.div(shifted, np.int32(64)), np.int32(64)))
    following = graph.add(low, np.int32(0x80))
    first = graph.add(shifted, take(graph, graph.constant(_FIRST), counts))
    return graph.where(graph.equal(graph.add(left, np.int32(1)), counts), first, following)


# The weight of the byte that so many bytes of its character come after.
_UNITS = np.array([1, 1 << 6, 1 << 12, 1 << 18], np.int32)
# What the first of so many bytes has on top of its share of the code point.
_FIRST = np.array([0, 0, 0xC0, 0xE0, 0xF0], np.int32)
