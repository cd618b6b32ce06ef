"""Putting several elements in the place of one, in arrays of which each element says how many."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.flat import count, find_true, running_sum, take


def spread(graph: Graph, sizes: Value) -> tuple[Value, Value]:
    """Return which element each of several comes from, and its number among those, int64 (m,).

    `sizes`, int64 (n,), says how many come from each element. The last must not be 0.
    """
    starts = running_sum(graph, sizes, exclusive=True)
    has_any = find_true(graph, graph.node("Greater", sizes, np.int64(0)))
    firsts = take(graph, starts, has_any)
    total = graph.node("ReduceSum", sizes, keepdims=1)
    zeros = graph.node("Expand", np.array([0], np.int64), total)
    # At the first of each element stands how many elements further on that one is.
    steps = graph.sub(
        has_any, graph.concat(np.array([0], np.int64), graph.slice(has_any, 0, -1, axis=0), axis=0)
    )
    owners = running_sum(graph, graph.node("ScatterElements", zeros, firsts, steps, axis=0))
    numbers = graph.sub(running_sum(graph, graph.add(zeros, np.int64(1))), np.int64(1))
    return owners, graph.sub(numbers, take(graph, starts, owners))


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
    zeros = graph.node("Expand", np.array([0]), total)
    ones = graph.node("Expand", np.array([1]), count(graph, starts))
    owners = running_sum(graph, graph.node("ScatterElements", zeros, starts, ones, axis=0))
    number = graph.node("Range", np.int32(1), graph.cast(graph.squeeze(total, 0), np.int32), np.int32(1))
    number = graph.concat(number, graph.cast(total, np.int32), axis=0)
    return Repeated(owners, graph.sub(take(graph, ends, owners), number))
