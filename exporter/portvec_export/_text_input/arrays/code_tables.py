"""Tables with a number for each code point, stored in a graph once however often it looks into them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.flat import look_up
from portvec_export._vocabulary.tables import pack_table


class CodeTable:
    """A table with a number, int32, for each code point."""

    def __init__(self, name: str, numbers: npt.NDArray[np.int32]) -> None:
        """Use these numbers (code points,). The arrays are stored under names that begin with `name`."""
        self._names = (f"{name}.pages", f"{name}.entries")
        packed = pack_table(*self._names, np.ascontiguousarray(numbers, dtype=np.int32))
        self._pages, self._entries = (packed[each] for each in self._names)

    def look_up(self, graph: Graph, codes: Value) -> Value:
        """Return the number, int32 (n,), of each code (n,); 0 for negative codes."""
        known = graph.maximum(codes, np.int32(0))
        numbers = look_up(graph, known, self._pages, self._entries, self._names)
        return graph.where(graph.equal(known, codes), numbers, np.int32(0))


def any_true(graph: Graph, condition: Value) -> Value:
    """Return whether a condition, bool (n,) with n at least 1, holds anywhere, as bool ()."""
    return graph.cast(graph.node("ReduceMax", graph.cast(condition, np.int32), keepdims=0), np.bool_)
