"""Checking the bytes of a graph before onnxruntime opens it.

onnxruntime follows external data to any file that a graph names, runs operators of any domain, and loops for
as long as a graph says. An artifact's graph needs none of that. Its only subgraph is the body of a Scan,
which ends with its input. This module reads the protobuf wire format itself, because the runtime does not
require the onnx package. Field numbers are those of onnx.proto (github.com/onnx/onnx, onnx/onnx.proto, IR
version 8).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from portvec._artifact.folder import Artifact
from portvec.errors import ArtifactError

_MODEL_GRAPH, _MODEL_OPSET_IMPORT, _MODEL_TRAINING_INFO, _MODEL_FUNCTIONS = 7, 8, 20, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE_INITIALIZER = 1, 5, 15
_NODE_OP_TYPE, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_ATTRIBUTE_SPARSE_TENSOR, _ATTRIBUTE_SPARSE_TENSORS = 22, 23
_TENSOR_EXTERNAL_DATA = 13
_STANDARD_DOMAINS = (b"", b"ai.onnx")


def check_graph(artifact: Artifact, graph: str, data: str) -> Path:
    """Check that one of an artifact's graphs consists of standard operators, and return its path.

    `data` is the only file of the artifact that may have external data.

    Raises:
        ArtifactError: the file is not ONNX, or has another operator domain, a subgraph, a function, or
            external data in another file.
    """
    path = artifact.path(graph)
    location = PurePosixPath(data).relative_to(PurePosixPath(graph).parent).as_posix()
    try:
        with path.open("rb") as file:
            # A single file holds the whole table, so map it. The map ends with the last slice of it.
            _check_model(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)), path, location)
    except (ValueError, OSError) as error:
        raise ArtifactError(f"{path}: not an ONNX graph ({error}); export again") from error
    return path


def _check_model(model: memoryview, path: Path, data: str) -> None:
    for number, value in _fields(model):
        if number in (_MODEL_TRAINING_INFO, _MODEL_FUNCTIONS):
            raise _refused(path, "functions or training information")
        if number == _MODEL_OPSET_IMPORT:
            _check_domain(dict(_fields(value)).get(1, b""), path)
        if number == _MODEL_GRAPH:
            _check_graph(value, path, data)


def _check_graph(graph: memoryview, path: Path, data: str, *, is_inner: bool = False) -> None:
    for part, content in _fields(graph):
        if part == _GRAPH_NODE:
            _check_node(content, path, data, is_inner)
        elif part == _GRAPH_INITIALIZER:
            _check_tensor(content, path, data)
        elif part == _GRAPH_SPARSE_INITIALIZER:
            raise _refused(path, "sparse tensors")


def _check_node(node: memoryview, path: Path, data: str, is_inner: bool) -> None:
    fields = list(_fields(node))
    is_scan = [bytes(value) for number, value in fields if number == _NODE_OP_TYPE] == [b"Scan"]
    for number, value in fields:
        if number == _NODE_DOMAIN:
            _check_domain(value, path)
        if number == _NODE_ATTRIBUTE:
            for part, content in _fields(value):
                if part == _ATTRIBUTE_GRAPH and is_scan and not is_inner:
                    _check_graph(content, path, data, is_inner=True)
                elif part in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
                    raise _refused(path, "a subgraph (a loop or condition)")
                elif part in (_ATTRIBUTE_SPARSE_TENSOR, _ATTRIBUTE_SPARSE_TENSORS):
                    raise _refused(path, "sparse tensors")
                elif part in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
                    _check_tensor(content, path, data)


def _check_domain(domain: memoryview | bytes, path: Path) -> None:
    if bytes(domain) not in _STANDARD_DOMAINS:
        raise _refused(path, f"operators of the domain {bytes(domain)!r}")


def _check_tensor(tensor: memoryview, path: Path, data: str) -> None:
    for number, value in _fields(tensor):
        if number == _TENSOR_EXTERNAL_DATA:
            entry = dict(_fields(value))
            if bytes(entry.get(1, b"")) == b"location":
                location = bytes(entry.get(2, b""))
                if location != data.encode():
                    raise _refused(path, f"external data in {location!r}")


def _refused(path: Path, what: str) -> ArtifactError:
    return ArtifactError(f"{path}: holds {what}, which no portvec artifact has; do not use this artifact")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield field number and content of each length-delimited field of a protobuf message."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        wire_type = key & 7
        if wire_type == 0:
            _, position = _varint(message, position)
        elif wire_type == 1:
            position += 8
        elif wire_type == 5:
            position += 4
        elif wire_type == 2:
            size, position = _varint(message, position)
            if position + size > len(message):
                raise ValueError("a field reaches beyond its message")
            yield key >> 3, message[position : position + size]
            position += size
        else:
            raise ValueError(f"unknown wire type {wire_type}")
    if position > len(message):
        raise ValueError("a field reaches beyond its message")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("the message ends inside a number")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number has more than ten bytes")
