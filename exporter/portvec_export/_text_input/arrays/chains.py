"""Following links, all at once: each element says which comes after it."""

from __future__ import annotations

import numpy as np

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Type, Value
from portvec_export._text_input.arrays.flat import count, take


def follow_chain(graph: Graph, following: Value) -> Value:
    """Return which elements the links from the first element on lead to, bool (n,); the first is one.

    `following`, int64 (n,), is the place of the element after each, which is further on, or n if none is.
    A trip of the loop doubles how many are found, and how far a link leads.
    """
    size = count(graph, following)
    # Behind the last is an element that leads to itself, so n is a place and there is always a first.
    links = graph.concat(following, size, axis=0)
    zeros = graph.mul(links, np.int64(0))
    reached = graph.node("ScatterElements", zeros, np.array([0], np.int64), np.array([1], np.int64), axis=0)

    def double(body: Graph, trip: Value, values: list[Value]) -> tuple[Value, list[Value]]:
        reached, links = values
        places = body.squeeze(body.node("NonZero", reached), 0)
        ones = take(body, reached, places)
        reached = body.node("ScatterElements", reached, take(body, links, places), ones, axis=0)
        links = take(body, links, links)
        goes_on = body.node("Less", body.node("ReduceMin", links, keepdims=0), body.squeeze(size, 0))
        return goes_on, [reached, links]

    types: list[Type] = [(np.int64, [None]), (np.int64, [None])]
    reached, _ = graph.loop([reached, links], double, types)
    return graph.cast(graph.slice(reached, 0, -1, axis=0), np.bool_)
