"""The bytes of characters in UTF-8, in a graph."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.flat import count, running_sum, take


class Repeated(NamedTuple):
    """Elements, each of which is repeated some times.

    Attributes:
        owners: int64 (m,), the place of the element that each of the m copies is one of.
        left: int32 (m,), how many copies of the same element come after this one.
    """

    owners: Value
    left: Value


def repeat(graph: Graph, counts: Value) -> Repeated:
    """Repeat elements (n,) as often as `counts`, int32 (n,), says: at least once each. n is at least 1."""
    ends = running_sum(graph, counts)
    total = graph.cast(graph.slice(ends, -1, 2**63 - 1, axis=0), np.int64)
    starts = graph.slice(ends, 0, -1, axis=0)
    zeros = _fill(graph, total, np.int64(0))
    ones = _fill(graph, count(graph, starts), np.int64(1))
    owners = running_sum(graph, graph.node("ScatterElements", zeros, starts, ones, axis=0))
    number = graph.node("Range", np.int32(1), graph.cast(graph.squeeze(total, 0), np.int32), np.int32(1))
    number = graph.concat(number, graph.cast(total, np.int32), axis=0)
    return Repeated(owners, graph.sub(take(graph, ends, owners), number))


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


def _fill(graph: Graph, size: Value, number: np.int64) -> Value:
    return graph.node("Expand", np.array([number]), size)


# The weight of the byte that so many bytes of its character come after.
_UNITS = np.array([1, 1 << 6, 1 << 12, 1 << 18], np.int32)
# What the first of so many bytes has on top of its share of the code point.
_FIRST = np.array([0, 0, 0xC0, 0xE0, 0xF0], np.int32)
