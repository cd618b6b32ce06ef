"""Checking the bytes of a graph before onnxruntime gets them.

onnxruntime follows external data to any file that a graph names, runs operators of any domain, and loops and
allocates for as long as a graph says. An artifact's graph needs none of that. This module decodes a graph,
refuses what no artifact has, and encodes it again without its tensors. So what onnxruntime gets was written
here, and it opens no file.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.files import Content
from portvec._artifact.folder import Artifact
from portvec._inference.onnx_schema import MODEL
from portvec._inference.operators import OPERATORS, Node, Size
from portvec._inference.protobuf import Message, UnknownContentError, decode, encode
from portvec.errors import ArtifactError

if TYPE_CHECKING:
    import numpy.typing as npt

# protobuf's own limit for a message.
_MAX_BYTES = 1 << 31
_STANDARD_DOMAINS = (b"", b"ai.onnx")
# What the format says. In other versions, operators mean something else.
_IR_VERSION, _OPSET = 8, 14
_DTYPES: Final[dict[int, np.dtype[Any]]] = {
    1: np.dtype("<f4"),
    2: np.dtype("u1"),
    3: np.dtype("i1"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
    10: np.dtype("<f2"),
}
_BOOL = 9
_EXTERNAL = 1
_SCAN = frozenset({"body", "num_scan_inputs"})
# Which field of an attribute holds its value, by its type.
_VALUES: Final = {2: "i", 3: "s", 5: "g", 7: "ints"}
# A tensor of this many bytes is shared between sessions if single rows of it are looked up.
_TABLE_BYTES = 1 << 16
# Constants of up to this many elements may be sizes and axes.
_MAX_NUMBERS = 16

# Results are bounded for batches in which one of these numbers is enormous, so that what grows faster than
# in proportion shows.
_MANY = 1 << 40
_BATCHES: Final = [(16, 2, 2), (_MANY, 2, 2), (16, _MANY, 2), (16, 2, _MANY)]
# The longest vectors that count, because a graph may do more for longer ones.
_MAX_COLUMNS = 1 << 13


@dataclass(frozen=True)
class CheckedGraph:
    """A graph that may be given to onnxruntime.

    Attributes:
        where: names it in errors.
        tables: its large tensors of which single rows are looked up, by name.
    """

    where: str
    tables: Mapping[str, npt.NDArray[Any]]
    _model: Message
    _data: str

    def to_bytes(self, *, shared: bool) -> bytes:
        """Return the model without the numbers of its tables.

        If they are `shared`, tables have no rows in it: onnxruntime takes the real ones instead, but a
        session that did not get them would fail rather than compute with others. Else they are said to be in
        a file.
        """
        tensors = []
        for tensor in self._model["graph"]["initializer"]:
            table = self.tables.get(tensor["name"].decode())
            if table is not None and shared:
                tensor = {**tensor, "dims": [0, *table.shape[1:]], "raw_data": b""}
            elif table is not None:
                location = {"key": b"location", "value": self._data.encode()}
                tensor = {**tensor, "external_data": [location], "data_location": _EXTERNAL}
                del tensor["raw_data"]
            tensors.append(tensor)
        graph = {**self._model["graph"], "initializer": tensors}
        return encode({**self._model, "graph": graph}, MODEL)


def check_graph(artifact: Artifact, graph: str, data: str) -> CheckedGraph:
    """Check that one of an artifact's graphs does nothing but embed texts.

    `data` is the only file of the artifact that may have external data.

    Raises:
        ArtifactError: the file is not ONNX, or has anything that no artifact has, such as another operator, a
            loop, a function, external data in another file, or results whose size is out of proportion.
    """
    where = str(artifact.path(graph))
    location = PurePosixPath(data).relative_to(PurePosixPath(graph).parent).as_posix()
    content = memoryview(artifact.contents[graph])
    try:
        if len(content) >= _MAX_BYTES:
            raise ValueError(f"{len(content):,} bytes, and ONNX files have less than {_MAX_BYTES:,}")
        model = decode(content, MODEL)
        tensors = _Tensors(location, artifact.contents.get(data, b""))
        return _check_model(model, tensors, artifact.manifest.dim, where)
    except UnknownContentError as error:
        raise ArtifactError(
            f"{where}: holds {error}, which no portvec artifact has; do not use this artifact"
        ) from error
    except (ValueError, LookupError, TypeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ArtifactError(f"{where}: not an ONNX graph ({reason}); export again") from error


def _check_model(model: Message, tensors: _Tensors, dim: int, where: str) -> CheckedGraph:
    for opset in model["opset_import"]:
        _check_domain(opset)
    versions = (model.get("ir_version"), *(opset.get("version") for opset in model["opset_import"]))
    if versions != (_IR_VERSION, _OPSET):
        raise UnknownContentError(f"IR version and operator sets {versions}")
    graph = model["graph"]
    arrays: dict[str, npt.NDArray[Any]] = {}
    for tensor in graph["initializer"]:
        name = _new_name(tensor["name"], arrays)
        arrays[name] = tensors.read(tensor, name)
    _check_nodes(graph, has_scan=True)
    tables = _find_tables(graph, arrays)
    stored = sum(array.size for name, array in arrays.items() if name not in tables)
    columns = min(dim, _MAX_COLUMNS)
    for batch in _BATCHES:
        work = _Sizes(arrays, *batch).of_model(graph)
        # Seven times what the exporter's graphs need for a token, or more. Squares are for int4, which
        # multiplies the weights of all blocks of a vector by all of its values; what is stored, for the
        # layers of a head.
        elements = math.prod(batch) * ((1 << 12) + 64 * columns + columns**2 // 16) + 8 * stored
        products = math.prod(batch) * (columns**2 + stored)
        if work.elements > elements or work.products > products:
            raise UnknownContentError("results whose size is out of proportion to the texts")
    for tensor in graph["initializer"]:
        name = tensor["name"].decode()
        tensor.update(dims=list(arrays[name].shape), external_data=[], data_location=0)
        tensor["raw_data"] = b"" if name in tables else arrays[name].tobytes()
    return CheckedGraph(where, tables, model, tensors.location)


class _Tensors:
    """Reads tensors, whose numbers are inside or in one file.

    Attributes:
        location: how a graph names that file.
    """

    def __init__(self, location: str, data: Content) -> None:
        self.location = location
        self._data = data

    def read(self, tensor: Message, name: str) -> npt.NDArray[Any]:
        """Return a tensor, aligned. Its memory is that of the content, where possible."""
        dtype = _DTYPES.get(tensor.get("data_type", 0))
        if dtype is None:
            raise UnknownContentError(f"a tensor of type {tensor.get('data_type')}")
        shape = tuple(tensor["dims"])
        if any(length < 0 for length in shape):
            raise ValueError(f"tensor {name!r} has a negative length")
        size = math.prod(shape) * dtype.itemsize
        content, offset, length = self._find(tensor, name, size)
        if length != size or offset + size > len(content):
            raise ValueError(f"tensor {name!r} needs {size:,} bytes, and there are others")
        array = np.frombuffer(content, dtype, math.prod(shape), offset) if size else np.empty(0, dtype)
        return np.require(array.reshape(shape), requirements=["C", "A"])

    def _find(self, tensor: Message, name: str, size: int) -> tuple[Content | memoryview, int, int]:
        """Return the content that holds a tensor, where it starts there, and its number of bytes."""
        entries = {each["key"]: each["value"] for each in tensor["external_data"]}
        location = tensor.get("data_location", 0)
        if location not in (0, _EXTERNAL) or bool(entries) != location:
            raise UnknownContentError(f"a tensor in the location {location}")
        if not entries:
            raw = tensor.get("raw_data", b"")
            return raw, 0, len(raw)
        if entries.get(b"location") != self.location.encode():
            raise UnknownContentError(f"external data in {entries.get(b'location')!r}")
        known = {b"location", b"offset", b"length"}
        if "raw_data" in tensor or len(entries) < len(tensor["external_data"]) or entries.keys() - known:
            raise UnknownContentError("a tensor that is in two places")
        offset, length = entries.get(b"offset", b"0"), entries.get(b"length", b"%d" % size)
        if not (offset.isdigit() and length.isdigit() and max(len(offset), len(length)) < 20):
            raise ValueError(f"tensor {name!r} is at {offset!r} and has {length!r} bytes")
        return self._data, int(offset), int(length)


def _find_tables(graph: Message, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Return the large tensors that only Gather reads, row by row."""
    tables = {name: array for name, array in arrays.items() if array.nbytes >= _TABLE_BYTES}
    for node in _all_nodes(graph):
        for index, name in enumerate(map(bytes.decode, node["input"])):
            if node["op_type"] != b"Gather" or index != 0 or _attributes(node).get("axis", 0) != 0:
                tables.pop(name, None)
    return tables


def _check_nodes(graph: Message, *, has_scan: bool) -> None:
    """Check what the nodes of a graph, and those of the body of a Scan in it, are."""
    for node in graph["node"]:
        _check_domain(node)
        kind = node["op_type"].decode()
        attributes = _attributes(node)
        if kind == "Scan" and has_scan:
            allowed = _SCAN
            _check_nodes(attributes["body"], has_scan=False)
        elif kind in OPERATORS:
            allowed = OPERATORS[kind].attributes
        else:
            raise UnknownContentError(f"the operator {kind!r}")
        if not attributes.keys() <= allowed:
            raise UnknownContentError(f"the attributes {sorted(attributes)} of {kind}")
        if kind == "Cast" and attributes["to"] not in (*_DTYPES, _BOOL):
            raise UnknownContentError(f"a Cast to the type {attributes['to']}")


def _check_domain(message: Message) -> None:
    domain = message.get("domain", b"")
    if domain not in _STANDARD_DOMAINS:
        raise UnknownContentError(f"operators of the domain {domain!r}")


def _attributes(node: Message) -> dict[str, Any]:
    """Return the attributes of a node by name."""
    attributes: dict[str, Any] = {}
    for attribute in node["attribute"]:
        kind = _VALUES.get(attribute.get("type", 0))
        if kind is None:
            raise UnknownContentError(f"an attribute of type {attribute.get('type')}")
        if {"i", "s", "g"} & attribute.keys() - {kind} or (kind != "ints" and attribute["ints"]):
            raise UnknownContentError("an attribute with two values")
        attributes[_new_name(attribute["name"], attributes)] = attribute[kind]
    return attributes


def _all_nodes(graph: Message) -> Iterator[Message]:
    """Yield the nodes of a graph, and those of the bodies in it."""
    for node in graph["node"]:
        yield node
        for attribute in node["attribute"]:
            if "g" in attribute:
                yield from _all_nodes(attribute["g"])


def _new_name(name: bytes, known: Container[str]) -> str:
    """Return a name, which nothing else in the graph may have."""
    text = name.decode()
    if text in known or not text:
        raise UnknownContentError(f"two things with the name {text!r}")
    return text


class _Work(NamedTuple):
    """Bounds for the work of a graph.

    Attributes:
        elements: elements of tensors that are read or computed.
        products: numbers that are multiplied and added in products of matrices.
    """

    elements: int
    products: int


class _Sizes:
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
            name = _new_name(port["name"], declared)
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
                inner = Node(operands, _attributes(node), len(node["output"]))
                operator = OPERATORS[node["op_type"].decode()]
                size = operator.size(inner)
                read = sum(operand.elements for operand in operands[not operator.reads_all :] if operand)
                multiplied = operator.products(inner)
            elements += 1 + read + size.elements * len(node["output"])
            products += multiplied
            for output in node["output"]:
                known[_new_name(output, known)] = size
        for port in graph["output"]:
            _check_declared(port, known)
        return _Work(elements, products)

    def _scan(self, node: Message, known: dict[str, Size]) -> tuple[_Work, Size]:
        """Return the work of a Scan over the tiles, and bounds for what it stacks."""
        attributes = _attributes(node)
        body = attributes["body"]
        if node["input"] != [fmt.TILE_BOUNDS.encode()] or attributes["num_scan_inputs"] != 1:
            raise UnknownContentError(f"a Scan over something else than {fmt.TILE_BOUNDS}")
        (item,), (result,) = body["input"], body["output"]
        inside = dict(known)
        inside[_new_name(item["name"], known)] = Size(self._inputs[fmt.TILE_BOUNDS][1:])
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
    if tensor["elem_type"] not in (*_DTYPES, _BOOL) or len(declared) != len(shape):
        raise UnknownContentError(f"an input or output of type {tensor['elem_type']}")
    if any(number not in (None, length) for number, length in zip(declared, shape, strict=True)):
        raise UnknownContentError(f"an input or output of the shape {declared}")
