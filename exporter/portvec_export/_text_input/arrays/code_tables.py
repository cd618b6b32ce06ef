"""Tables with a number for each code point, stored in a graph once however often it looks into them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from portvec._vocabulary.characters import PAGE
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.flat import Table, look_up, make_table
from portvec_export._vocabulary.tables import pack_table


class CodeTable:
    """A table with a number, int32, for each code point."""

    def __init__(self, name: str, numbers: npt.NDArray[np.int32]) -> None:
        """Use these numbers (code points,). The arrays are stored under names that begin with `name`."""
        self._names = (f"{name}.pages", f"{name}.entries")
        self._table = pack(np.ascontiguousarray(numbers, dtype=np.int32))

    def look_up(self, graph: Graph, codes: Value) -> Value:
        """Return the number, int32 (n,), of each code (n,); 0 for negative codes."""
        return look_up(graph, codes, self._table, self._names)


def pack(numbers: npt.NDArray[Any], of_tokens: int = 0) -> Table:
    """Return a table with a number for each code point, and `of_tokens` for added tokens."""
    packed = pack_table("pages", "entries", numbers)
    return make_table(packed["pages"].astype(np.int64) * PAGE, packed["entries"], of_tokens)
