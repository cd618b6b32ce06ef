"""Checking the bytes of a graph with text input before onnxruntime gets them.

As with other graphs, onnxruntime gets what was decoded and written again here, so it opens no file and runs
no unknown operator. What it does not get is a bound for its work: the loops of a tokenizer end when the text
is finished, which nothing can tell beforehand.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact, check_hash
from portvec._inference.graph_tensors import TensorReader
from portvec._inference.graph_validation import (
    CheckedGraph,
    all_nodes,
    find_tables,
    read_model,
    read_ports,
    refusals_are_named,
)
from portvec._inference.onnx_schema import attributes_of, new_name
from portvec._inference.protobuf import Message, UnknownContentError
from portvec._inference.text_schema import TEXT_DTYPES, TEXT_MODEL, TEXT_OPERATORS, WITH_BODIES
from portvec.errors import ArtifactError

if TYPE_CHECKING:
    import numpy.typing as npt

_IR_VERSION, _OPSET, _DOMAIN_VERSION = 8, 18, 1
_STANDARD = b"ai.onnx"
_TYPES = {fmt.STRINGS: "tensor(string)", fmt.CODE_POINTS: "tensor(int32)"}


def check_text_graph(artifact: Artifact, kind: str, outputs: Sequence[str]) -> CheckedGraph:
    """Check a graph with text input, also its hash, and return the part of it that computes `outputs`.

    Raises:
        ArtifactError: the artifact has no graph of this kind, its hash is another, or it holds something that
            no such graph has, such as another operator, a function or external data.
    """
    name = artifact.manifest.text_inputs.get(kind)
    if name is None:
        raise ArtifactError(
            f"{artifact.folder}: has no graph with text input of the kind {kind!r}; export the model again "
            f"with 'portvec export ... --text-input {kind}'"
        )
    check_hash(artifact, name)
    where = str(artifact.path(name))
    with refusals_are_named(where):
        return _check(read_model(artifact.contents[name], TEXT_MODEL), kind, outputs, where)


def _check(model: Message, kind: str, outputs: Sequence[str], where: str) -> CheckedGraph:
    versions = {opset.get("domain", b""): opset.get("version") for opset in model["opset_import"]}
    expected = {b"": _OPSET, **({b"com.microsoft": _DOMAIN_VERSION} if kind == fmt.STRINGS else {})}
    if model.get("ir_version") != _IR_VERSION or versions != expected:
        raise UnknownContentError(f"IR version {model.get('ir_version')} and operator sets {versions}")
    graph = model["graph"]
    inputs = read_ports(graph, ()).inputs
    if inputs != {fmt.TEXT_INPUTS[kind]: _TYPES[kind]}:
        raise UnknownContentError(f"the inputs {dict(inputs)}")
    _check_nodes(graph, expected)
    _keep_only(graph, outputs)
    # No file is named: all tensors are inside.
    tensors = TensorReader("", b"", TEXT_DTYPES)
    arrays: dict[str, npt.NDArray[Any]] = {}
    for tensor in graph["initializer"]:
        name = new_name(tensor["name"], arrays)
        arrays[name] = tensors.read(tensor, name)
    tables = find_tables(graph, arrays)
    for tensor in graph["initializer"]:
        if tensor["name"].decode() in tables:
            tensor["raw_data"] = b""
    return CheckedGraph(where, read_ports(graph, arrays), arrays, tables, model, TEXT_MODEL, "")


def _check_nodes(graph: Message, domains: Container[bytes]) -> None:
    """Check what the nodes of a graph, and those of the bodies in it, are."""
    for node in all_nodes(graph):
        domain = node.get("domain", b"")
        domain = b"" if domain == _STANDARD else domain
        if domain not in domains:
            raise UnknownContentError(f"operators of the domain {domain!r}")
        kind = node["op_type"]
        if kind not in TEXT_OPERATORS[domain]:
            raise UnknownContentError(f"the operator {kind.decode()!r}")
        for name, value in attributes_of(node).items():
            if not isinstance(value, dict):
                continue
            if "node" not in value:
                TensorReader("", b"", TEXT_DTYPES).read(value, name)
            elif kind not in WITH_BODIES:
                raise UnknownContentError(f"a subgraph of {kind.decode()}")


def _keep_only(graph: Message, outputs: Sequence[str]) -> None:
    """Leave out of a graph what these outputs do not need."""
    ports = {port["name"].decode(): port for port in graph["output"]}
    producers: dict[str, int] = {}
    for index, node in enumerate(graph["node"]):
        for output in node["output"]:
            if output:
                producers[new_name(output, producers)] = index
    needed = set(outputs)
    kept: set[int] = set()
    todo = list(outputs)
    while todo:
        index = producers.get(todo.pop(), -1)
        if index < 0 or index in kept:
            continue
        kept.add(index)
        # Bodies use values of the graph around them by name.
        names = set(_list_operands(graph["node"][index])) - needed
        needed |= names
        todo += names
    graph["output"] = [ports[name] for name in outputs]
    graph["node"] = [node for index, node in enumerate(graph["node"]) if index in kept]
    graph["initializer"] = [each for each in graph["initializer"] if each["name"].decode() in needed]


def _list_operands(node: Message) -> Iterator[str]:
    """Yield the names of all that a node, or a body of it, reads."""
    yield from map(bytes.decode, node["input"])
    for attribute in node["attribute"]:
        for body in filter(None, [attribute.get("g")]):
            yield from (port["name"].decode() for port in body["output"])
            for inner in body["node"]:
                yield from _list_operands(inner)
