"""The messages of ONNX of which a portvec artifact's graphs consist, except those with text input.

Field numbers are those of onnx.proto (github.com/onnx/onnx, onnx/onnx.proto). Fields that are not here are
refused: that shuts out functions, training, sparse tensors, and every subgraph but the body of a Scan.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final

import numpy as np

from portvec._inference.protobuf import Field, Message, Schema, UnknownContentError

# The element types that tensors may have.
DTYPES: Final[dict[int, np.dtype[Any]]] = {
    1: np.dtype("<f4"),
    2: np.dtype("u1"),
    3: np.dtype("i1"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
    10: np.dtype("<f2"),
}
BOOL = 9
# Which field of an attribute holds its value, by its type.
_VALUES: Final = {2: "i", 3: "s", 4: "t", 5: "g", 7: "ints", 8: "strings"}
_REPEATED = ("ints", "strings")

DOCUMENTATION: Final = Field("doc_string")
SPARSE: Final = "sparse tensors"
# onnxruntime computes with the shapes that a graph declares for values between nodes.
_SHAPES_BETWEEN: Final = "shapes of values between nodes"
_TENSORS_IN_SUBGRAPH: Final = "tensors in a subgraph"
_SUBGRAPH = "a subgraph (a loop or condition)"

_ENTRY = Schema("an entry", {1: Field("key"), 2: Field("value")})
_OPSET = Schema("an operator set", {1: Field("domain"), 2: Field("version", is_number=True)})
_DIMENSION = Schema(
    "a dimension", {1: Field("dim_value", is_number=True), 2: Field("dim_param"), 3: Field("denotation")}
)
_SHAPE = Schema("a shape", {1: Field("dim", repeated=True, schema=_DIMENSION)})
_TENSOR_TYPE = Schema(
    "a tensor's type", {1: Field("elem_type", is_number=True), 2: Field("shape", schema=_SHAPE)}
)
_TYPE = Schema("a type", {1: Field("tensor_type", schema=_TENSOR_TYPE), 6: Field("denotation")})
VALUE: Final = Schema(
    "an input or output", {1: Field("name"), 2: Field("type", schema=_TYPE), 3: DOCUMENTATION}
)
TENSOR: Final = Schema(
    "a tensor",
    {
        1: Field("dims", is_number=True, repeated=True),
        2: Field("data_type", is_number=True),
        8: Field("name"),
        9: Field("raw_data", is_data=True),
        12: DOCUMENTATION,
        13: Field("external_data", repeated=True, schema=_ENTRY),
        14: Field("data_location", is_number=True),
    },
)


def _attribute(body: Schema | None) -> Schema:
    fields = {
        1: Field("name"),
        3: Field("i", is_number=True),
        4: Field("s"),
        8: Field("ints", is_number=True, repeated=True),
        13: DOCUMENTATION,
        20: Field("type", is_number=True),
    }
    refused = {6: _SUBGRAPH, 11: _SUBGRAPH, 22: SPARSE, 23: SPARSE}
    if body is not None:
        fields[6] = Field("g", schema=body)
    return Schema("an attribute", fields, refused)


def graph_of(attribute: Schema, *, has_tensors: bool) -> Schema:
    """Return the schema of a graph whose nodes have such attributes. Only the outermost graph has tensors."""
    node = Schema(
        "a node",
        {
            1: Field("input", repeated=True),
            2: Field("output", repeated=True),
            3: Field("name"),
            4: Field("op_type"),
            5: Field("attribute", repeated=True, schema=attribute),
            6: DOCUMENTATION,
            7: Field("domain"),
        },
    )
    fields = {
        1: Field("node", repeated=True, schema=node),
        2: Field("name"),
        10: DOCUMENTATION,
        11: Field("input", repeated=True, schema=VALUE),
        12: Field("output", repeated=True, schema=VALUE),
    }
    if has_tensors:
        fields[5] = Field("initializer", repeated=True, schema=TENSOR)
    return Schema("a graph", fields, {5: _TENSORS_IN_SUBGRAPH, 13: _SHAPES_BETWEEN, 15: SPARSE})


def model_of(graph: Schema) -> Schema:
    """Return the schema of a model that has such a graph."""
    return Schema(
        "a model",
        {
            1: Field("ir_version", is_number=True),
            2: Field("producer_name"),
            3: Field("producer_version"),
            4: Field("domain"),
            5: Field("model_version", is_number=True),
            6: DOCUMENTATION,
            7: Field("graph", schema=graph),
            8: Field("opset_import", repeated=True, schema=_OPSET),
        },
        {20: "training information", 25: "functions"},
    )


_BODY = graph_of(_attribute(None), has_tensors=False)
MODEL: Final = model_of(graph_of(_attribute(_BODY), has_tensors=True))


def attributes_of(node: Message) -> dict[str, Any]:
    """Return the attributes of a node by name."""
    attributes: dict[str, Any] = {}
    for attribute in node["attribute"]:
        kind = _VALUES.get(attribute.get("type", 0))
        if kind is None:
            raise UnknownContentError(f"an attribute of type {attribute.get('type')}")
        others = {"i", "s", "t", "g"} & attribute.keys() - {kind}
        if others or any(attribute.get(each) for each in _REPEATED if each != kind):
            raise UnknownContentError("an attribute with two values")
        attributes[new_name(attribute["name"], attributes)] = attribute[kind]
    return attributes


def new_name(name: bytes, known: Container[str]) -> str:
    """Return a name, which nothing else in the graph may have."""
    text = name.decode()
    if text in known or not text:
        raise UnknownContentError(f"two things with the name {text!r}")
    return text
