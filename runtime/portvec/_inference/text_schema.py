"""The messages of ONNX, and the operators, of which a graph with text input consists."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from portvec._inference.onnx_schema import (
    DOCUMENTATION,
    DTYPES,
    SPARSE,
    TENSOR,
    graph_of,
    model_of,
)
from portvec._inference.protobuf import Field, Schema

# How deep bodies may be in each other. The exporter's go to four.
_DEPTH = 6
# The element types that tensors may have.
TEXT_DTYPES: Final[dict[int, np.dtype[Any]]] = {
    **DTYPES,
    9: np.dtype("?"),
    11: np.dtype("<f8"),
    12: np.dtype("<u4"),
    13: np.dtype("<u8"),
}
# Operators by domain. None of them opens a file, has a state, or runs code that is not onnxruntime's own.
TEXT_OPERATORS: Final = {
    b"": frozenset(
        b"""
        Abs Add And ArgMax ArgMin BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast Ceil Clip
        Compress Concat Constant ConstantOfShape CumSum DequantizeLinear Div Equal Erf Exp Expand
        Floor Gather GatherElements GatherND Gemm Greater GreaterOrEqual Identity If Less
        LessOrEqual Log Loop LpNormalization MatMul MatMulInteger Max Min Mod Mul Neg NonZero Not
        OneHot Or Pad Pow Range ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Relu
        Reshape Scan ScatterElements ScatterND Shape Sigmoid Sign Size Slice Softmax Split Sqrt
        Squeeze Sub Sum Tanh Tile TopK Transpose Trilu Unique Unsqueeze Where Xor
        """.split()
    ),
    b"com.microsoft": frozenset([b"MurmurHash3", b"Tokenizer"]),
}
# The operators that have bodies.
WITH_BODIES: Final = frozenset([b"If", b"Loop", b"Scan"])


def _graph(depth: int) -> Schema:
    """Return the schema of a graph in which bodies are in each other `depth` times."""
    values = {
        1: Field("name"),
        3: Field("i", is_number=True),
        4: Field("s"),
        5: Field("t", schema=TENSOR),
        8: Field("ints", is_number=True, repeated=True),
        9: Field("strings", repeated=True),
        13: DOCUMENTATION,
        20: Field("type", is_number=True),
    }
    if depth:
        values[6] = Field("g", schema=_graph(depth - 1))
    refused = {6: f"subgraphs in each other more than {_DEPTH} times", 22: SPARSE, 23: SPARSE}
    return graph_of(Schema("an attribute", values, refused), has_tensors=depth == _DEPTH)


TEXT_MODEL: Final = model_of(_graph(_DEPTH))
