"""Characters as the bytes of their UTF-8, each of which byte-level models write as one character."""

from __future__ import annotations

import numpy as np

from portvec._vocabulary.byte_level import BYTE_CODES
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Type, Value
from portvec_export._text_input.arrays.expansion import repeat
from portvec_export._text_input.arrays.flat import take
from portvec_export._text_input.arrays.utf8 import count_bytes, find_bytes


def spell_bytes(graph: Graph, codes: Value, *others: Value) -> list[Value]:
    """Return a code for each byte of characters, and the others, int64 (n,), for each byte.

    Negative codes stay as they are.
    """
    highest = graph.node("ReduceMax", codes, keepdims=0)

    def spell(body: Graph, codes: Value, found: Value) -> Value:
        written = take(body, body.constant(BYTE_CODES.astype(np.int32)), found)
        return body.where(body.node("Less", codes, np.int32(0)), codes, written)

    def spell_ascii(body: Graph) -> list[Value]:
        return [spell(body, codes, body.maximum(codes, np.int32(0))), *others]

    def spell_any(body: Graph) -> list[Value]:
        counts = count_bytes(body, codes)
        owners, left = repeat(body, counts)
        repeated = take(body, codes, owners)
        known = body.maximum(repeated, np.int32(0))
        found = find_bytes(body, known, take(body, counts, owners), left)
        return [spell(body, repeated, found), *(take(body, each, owners) for each in others)]

    types: list[Type] = [(np.int32, [None]), *((np.int64, [None]) for _ in others)]
    return graph.branch(graph.node("Greater", highest, np.int32(0x7F)), spell_any, spell_ascii, types)
