"""Bounds for the work of a graph, which must stay in proportion to the texts."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.layers import values_after
from portvec._artifact.manifest import Manifest
from portvec._inference.onnx_schema import BOOL, DTYPES, attributes_of, new_name
from portvec._inference.operators import OPERATORS, Node, Size
from portvec._inference.protobuf import Message, UnknownContentError

if TYPE_CHECKING:
    import numpy.typing as npt

# Constants of up to this many elements may be sizes and axes.
_MAX_NUMBERS = 16

# Results are bounded for batches in which one of these numbers is enormous, so that what grows faster than
# in proportion shows.
_MANY = 1 << 40
_BATCHES: Final = [(16, 2, 2), (_MANY, 2, 2), (16, _MANY, 2), (16, 2, _MANY)]
# The longest vectors, and the most values after the mean, that count: a graph may do more for them.
_MAX_COLUMNS = 1 << 13


def check_work(
    graph: Message, arrays: Mapping[str, npt.NDArray[Any]], tables: Container[str], manifest: Manifest
) -> None:
    """Check that a graph does not do much more than the exporter's graphs for vectors of this length.

    `arrays` are its tensors by name, and `tables` the names of those of which single rows are looked up.

    Raises:
        UnknownContentError: results whose size is out of proportion, or an input that no graph has.
    """
    stored = sum(array.size for name, array in arrays.items() if name not in tables)
    columns = min(max(manifest.table_dim, manifest.dim), _MAX_COLUMNS)
    after = min(values_after(manifest), _MAX_COLUMNS)
    for batch in _BATCHES:
        work = Sizes(arrays, *batch).of_model(graph)
        # Seven times what the exporter's graphs need for a token, or more. Squares are for int4, which
        # multiplies the weights of all blocks of a vector by all of its values; what is stored, for dense
        # layers and those of a head.
        elements = math.prod(batch) * ((1 << 12) + 64 * columns + columns**2 // 16) + 8 * stored
        elements += math.prod(batch[1:]) * 64 * after
        products = math.prod(batch) * (columns**2 + stored)
        if work.elements > elements or work.products > products:
            raise UnknownContentError("results whose size is out of proportion to the texts")


class _Work(NamedTuple):
    """Bounds for the work of a graph.

    Attributes:
        elements: elements of tensors that are read or computed.
        products: numbers that are multiplied and added in products of matrices.
    """

    elements: int
    products: int


class Sizes:
    """Bounds the work of a graph for a batch of some number of texts in tiles.

    Tokens are those of a text, tiles and texts those of `portvec.graph`. onnxruntime trusts lengths that a
    graph declares, so those that are numbers must be the computed ones.
    """

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]], tokens: int, texts: int, tiles: int) -> None:
        self._inputs = {
            fmt.TOKEN_IDS: (tokens, texts),
            fmt.TILE_BOUNDS: (tiles, 2),
            fmt.TOKEN_COUNTS: (tiles * texts, 1),
            **dict.fromkeys((fmt.INPUT_IDS, fmt.ATTENTION_MASK, fmt.TOKEN_TYPE_IDS), (texts, tokens)),
        }
        self._tiles = tiles
        self._known = {name: _size_of(array) for name, array in arrays.items()}

    def of_model(self, graph: Message) -> _Work:
        """Return the work for a batch."""
        known = dict(self._known)
        declared: set[str] = set()
        for port in graph["input"]:
            name = new_name(port["name"], declared)
            if name not in self._inputs:
                raise UnknownContentError(f"the input {name!r}")
            declared.add(name)
            known[name] = Size(self._inputs[name])
            _check_declared(port, known)
        return self._of_graph(graph, known)

    def _of_graph(self, graph: Message, known: dict[str, Size]) -> _Work:
        """Add the sizes of a graph's values to `known`, and return its work."""
        elements = products = 0
        for node in graph["node"]:
            if len(node["output"]) > _MAX_NUMBERS or len(node["input"]) > _MAX_NUMBERS:
                raise UnknownContentError(f"a node with more than {_MAX_NUMBERS} operands or results")
            if node["op_type"] == b"Scan":
                (read, multiplied), size = self._scan(node, known)
            else:
                operands = [known[name.decode()] if name else None for name in node["input"]]
                inner = Node(operands, attributes_of(node), len(node["output"]))
                operator = OPERATORS[node["op_type"].decode()]
                size = operator.size(inner)
                read = sum(operand.elements for operand in operands[not operator.reads_all :] if operand)
                multiplied = operator.products(inner)
            elements += 1 + read + size.elements * len(node["output"])
            products += multiplied
            for output in node["output"]:
                known[new_name(output, known)] = size
        for port in graph["output"]:
            _check_declared(port, known)
        return _Work(elements, products)

    def _scan(self, node: Message, known: dict[str, Size]) -> tuple[_Work, Size]:
        """Return the work of a Scan over the tiles, and bounds for what it stacks."""
        attributes = attributes_of(node)
        body = attributes["body"]
        if node["input"] != [fmt.TILE_BOUNDS.encode()] or attributes["num_scan_inputs"] != 1:
            raise UnknownContentError(f"a Scan over something else than {fmt.TILE_BOUNDS}")
        (item,), (result,) = body["input"], body["output"]
        inside = dict(known)
        inside[new_name(item["name"], known)] = Size(self._inputs[fmt.TILE_BOUNDS][1:])
        _check_declared(item, inside)
        elements, products = self._of_graph(body, inside)
        work = _Work(elements * self._tiles, products * self._tiles)
        return work, Size((self._tiles, *inside[result["name"].decode()].shape))


def _size_of(array: npt.NDArray[Any]) -> Size:
    is_small = array.dtype == np.int64 and array.ndim < 2 and array.size <= _MAX_NUMBERS
    return Size(array.shape, tuple(array.ravel().tolist()) if is_small else None)


def _check_declared(port: Message, known: Mapping[str, Size]) -> None:
    """Check that the type which is declared for an input or output is one that it can have."""
    shape = known[port["name"].decode()].shape
    tensor = port["type"]["tensor_type"]
    declared = [each.get("dim_value") for each in tensor["shape"]["dim"]]
    if tensor["elem_type"] not in (*DTYPES, BOOL) or len(declared) != len(shape):
        raise UnknownContentError(f"an input or output of type {tensor['elem_type']}")
    if any(number not in (None, length) for number, length in zip(declared, shape, strict=True)):
        raise UnknownContentError(f"an input or output of the shape {declared}")
