"""Checking the bytes of a graph before onnxruntime gets them.

onnxruntime follows external data to any file that a graph names, runs operators of any domain, and loops and
allocates for as long as a graph says. An artifact's graph needs none of that. This module decodes a graph,
refuses what no artifact has, and encodes it again without its tensors. So what onnxruntime gets was written
here, and it opens no file.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from portvec._artifact.files import Content
from portvec._artifact.folder import Artifact
from portvec._artifact.manifest import Manifest
from portvec._inference.graph_tensors import EXTERNAL, TensorReader
from portvec._inference.graph_work import check_work
from portvec._inference.onnx_schema import BOOL, DTYPES, MODEL, attributes_of, new_name
from portvec._inference.operators import OPERATORS
from portvec._inference.protobuf import Message, Schema, UnknownContentError, decode, encode
from portvec._inference.target import Ports
from portvec.errors import ArtifactError

if TYPE_CHECKING:
    import numpy.typing as npt

# A tensor of this many bytes is shared between sessions if single rows of it are looked up.
_TABLE_BYTES = 1 << 16
# protobuf's own limit for a message.
_MAX_BYTES = 1 << 31
_STANDARD_DOMAINS = (b"", b"ai.onnx")
# What the format says. In other versions, operators mean something else.
_IR_VERSION, _OPSET = 8, 14
_LOOK_UPS = (b"Gather", b"GatherElements")
_SCAN = frozenset({"body", "num_scan_inputs"})
# onnxruntime's names of the types that inputs and outputs have.
_TYPE_NAMES = {1: "float", 6: "int32", 7: "int64", 8: "string"}


@dataclass(frozen=True)
class CheckedGraph:
    """A graph that may be given to onnxruntime.

    Attributes:
        where: names it in errors.
        ports: its inputs and outputs, as it declares them.
        tensors: its tensors by name.
        tables: the large ones of which single rows are looked up.
    """

    where: str
    ports: Ports
    tensors: Mapping[str, npt.NDArray[Any]]
    tables: Mapping[str, npt.NDArray[Any]]
    _model: Message
    _schema: Schema
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
                tensor = {**tensor, "external_data": [location], "data_location": EXTERNAL}
                del tensor["raw_data"]
            tensors.append(tensor)
        graph = {**self._model["graph"], "initializer": tensors}
        return encode({**self._model, "graph": graph}, self._schema)


def check_graph(artifact: Artifact, graph: str, data: str) -> CheckedGraph:
    """Check that one of an artifact's graphs does nothing but embed texts.

    `data` is the only file of the artifact that may have external data.

    Raises:
        ArtifactError: the file is not ONNX, or has anything that no artifact has, such as another operator, a
            loop, a function, external data in another file, or results whose size is out of proportion.
    """
    where = str(artifact.path(graph))
    location = PurePosixPath(data).relative_to(PurePosixPath(graph).parent).as_posix()
    with refusals_are_named(where):
        model = read_model(artifact.contents[graph], MODEL)
        tensors = TensorReader(location, artifact.contents.get(data, b""))
        return _check_model(model, tensors, artifact.manifest, where)


@contextmanager
def refusals_are_named(where: str) -> Iterator[None]:
    """Turn what decoding and checking a graph raise into an ArtifactError that names it by `where`."""
    try:
        yield
    except UnknownContentError as error:
        raise ArtifactError(
            f"{where}: holds {error}, which no portvec artifact has; do not use this artifact"
        ) from error
    except (ValueError, LookupError, TypeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ArtifactError(f"{where}: not an ONNX graph ({reason}); export again") from error


def read_model(content: Content, schema: Schema) -> Message:
    """Return the model in a file, which must have nothing that the schema does not know."""
    if len(content) >= _MAX_BYTES:
        raise ValueError(f"{len(content):,} bytes, and ONNX files have less than {_MAX_BYTES:,}")
    return decode(memoryview(content), schema)


def _check_model(model: Message, tensors: TensorReader, manifest: Manifest, where: str) -> CheckedGraph:
    for opset in model["opset_import"]:
        _check_domain(opset)
    versions = (model.get("ir_version"), *(opset.get("version") for opset in model["opset_import"]))
    if versions != (_IR_VERSION, _OPSET):
        raise UnknownContentError(f"IR version and operator sets {versions}")
    graph = model["graph"]
    arrays: dict[str, npt.NDArray[Any]] = {}
    for tensor in graph["initializer"]:
        name = new_name(tensor["name"], arrays)
        arrays[name] = tensors.read(tensor, name)
    _check_nodes(graph, has_scan=True)
    tables = find_tables(graph, arrays)
    check_work(graph, arrays, tables, manifest)
    for tensor in graph["initializer"]:
        name = tensor["name"].decode()
        tensor.update(dims=list(arrays[name].shape), external_data=[], data_location=0)
        tensor["raw_data"] = b"" if name in tables else arrays[name].tobytes()
    return CheckedGraph(where, read_ports(graph, arrays), arrays, tables, model, MODEL, tensors.location)


def read_ports(graph: Message, arrays: Container[str]) -> Ports:
    """Return the inputs and outputs that a graph declares, without inputs that have a default."""
    inputs, outputs = {}, {}
    for port in graph["input"]:
        name = port["name"].decode()
        if name not in arrays:
            inputs[name] = _type_of(port)
    for port in graph["output"]:
        shape = port["type"]["tensor_type"]["shape"]["dim"]
        outputs[port["name"].decode()] = _type_of(port), shape[-1].get("dim_value") if shape else None
    return Ports(inputs, outputs)


def _type_of(port: Message) -> str:
    element: int = port["type"]["tensor_type"]["elem_type"]
    return f"tensor({_TYPE_NAMES.get(element, element)})"


def find_tables(graph: Message, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Return the large tensors of which only Gather and GatherElements read single rows."""
    tables = {name: array for name, array in arrays.items() if array.nbytes >= _TABLE_BYTES}
    for node in all_nodes(graph):
        looks_up = node["op_type"] in _LOOK_UPS and attributes_of(node).get("axis", 0) == 0
        for index, name in enumerate(map(bytes.decode, node["input"])):
            if not looks_up or index != 0:
                tables.pop(name, None)
    return tables


def _check_nodes(graph: Message, *, has_scan: bool) -> None:
    """Check what the nodes of a graph, and those of the body of a Scan in it, are."""
    for node in graph["node"]:
        _check_domain(node)
        kind = node["op_type"].decode()
        attributes = attributes_of(node)
        if kind == "Scan" and has_scan:
            allowed = _SCAN
            _check_nodes(attributes["body"], has_scan=False)
        elif kind in OPERATORS:
            allowed = OPERATORS[kind].attributes
        else:
            raise UnknownContentError(f"the operator {kind!r}")
        if not attributes.keys() <= allowed:
            raise UnknownContentError(f"the attributes {sorted(attributes)} of {kind}")
        if kind == "Cast" and attributes["to"] not in (*DTYPES, BOOL):
            raise UnknownContentError(f"a Cast to the type {attributes['to']}")


def _check_domain(message: Message) -> None:
    domain = message.get("domain", b"")
    if domain not in _STANDARD_DOMAINS:
        raise UnknownContentError(f"operators of the domain {domain!r}")


def all_nodes(graph: Message) -> Iterator[Message]:
    """Yield the nodes of a graph, and those of the bodies in it."""
    for node in graph["node"]:
        yield node
        for attribute in node["attribute"]:
            if "g" in attribute:
                yield from all_nodes(attribute["g"])
