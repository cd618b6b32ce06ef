"""Graphs made to do harm: onnxruntime gets none that reads other files, loops, or asks for too much."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from google.protobuf.unknown_fields import UnknownFieldSet  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import wire
from damage import edit, replace_file
from damaged_graphs import add_function, add_sparse, add_value_info
from portvec import StaticEmbedder
from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact, open_artifact
from portvec._inference.graph_validation import CheckedGraph, check_graph
from portvec._inference.graphs import choose_strategy
from portvec._inference.onnxruntime import onnxruntime
from portvec._inference.target import Target
from portvec.errors import ArtifactError
from portvec_export import export_model
from project import FUZZ

GRAPHS = ["portvec.graph", "onnx/model.onnx"]
Change = Callable[[onnx.ModelProto], object]


def load_graph(artifact: Artifact, name: str) -> None:
    """Give one of an artifact's graphs to onnxruntime."""
    graph = name if name.startswith("onnx") else None
    choose_strategy(artifact, Target(fmt.SENTENCE_EMBEDDING, artifact.manifest.dim, graph=graph))


def refuse(folder: Path, name: str, content: bytes, message: str, patch: pytest.MonkeyPatch) -> None:
    """Check that a graph is refused before onnxruntime sees it, though the manifest fits."""

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("onnxruntime was given the graph")

    replace_file(folder, name, content)
    artifact = open_artifact(folder)
    with patch.context() as patched:
        patched.setattr(onnxruntime, "InferenceSession", fail)
        with pytest.raises(
            ArtifactError, match=f"{name}: {message}; (do not use this artifact|export again)$"
        ):
            load_graph(artifact, name)


def read(folder: Path, name: str) -> onnx.ModelProto:
    return onnx.load_model_from_string((folder / name).read_bytes())


def set_external(name: str, value: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        tensor = next(t for t in model.graph.initializer if t.external_data)
        next(entry for entry in tensor.external_data if entry.key == name).value = value

    return change


def add_entry(key: str, value: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        next(t for t in model.graph.initializer if t.external_data).external_data.add(key=key, value=value)

    return change


def set_domain(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.microsoft"


def add_opset(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def set_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 21


def add_nodes(*nodes: onnx.NodeProto, tensors: dict[str, Any] | None = None) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.graph.node.extend(nodes)
        for name, array in (tensors or {}).items():
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))

    return change


def body(*nodes: onnx.NodeProto) -> onnx.GraphProto:
    """The body of a subgraph, which passes on its input if it has no nodes."""
    item = helper.make_tensor_value_info("bad_item", TensorProto.INT64, [2])
    result = helper.make_tensor_value_info(
        nodes[-1].output[0] if nodes else "bad_item", TensorProto.INT64, [2]
    )
    return helper.make_graph(nodes, "body", [item], [result])


def scan(source: str, *nodes: onnx.NodeProto, **attributes: Any) -> onnx.NodeProto:
    inner = nodes or (helper.make_node("Identity", ["bad_item"], ["bad_result"]),)
    return helper.make_node(
        "Scan", [source], ["bad_stack"], body=body(*inner), **{"num_scan_inputs": 1, **attributes}
    )


def add_training(model: onnx.ModelProto) -> None:
    model.training_info.add()


def add_constant_with_external_data(model: onnx.ModelProto) -> None:
    tensor = TensorProto(name="c", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def add_typed_data(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(helper.make_tensor("c", TensorProto.FLOAT, [1], [1.0]))


def add_text_tensor(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(TensorProto(name="c", data_type=TensorProto.STRING, dims=[1]))


def declare_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1 << 40


def declare_output(model: onnx.ModelProto) -> None:
    model.graph.output[-1].type.tensor_type.shape.dim[0].dim_value = 1 << 40


def rename_twice(model: onnx.ModelProto) -> None:
    model.graph.node[1].output[0] = model.graph.node[0].output[0]


def node(kind: str, *names: str, **attributes: Any) -> onnx.NodeProto:
    """A node whose last name is that of its result."""
    return helper.make_node(kind, list(names[:-1]), [names[-1]], **attributes)


def external(location: str) -> str:
    return f"holds external data in b'{location}', which no portvec artifact has"


def operator(name: str) -> str:
    return f"holds the operator '{name}', which no portvec artifact has"


def holds(what: str) -> str:
    return f"holds {what}, which no portvec artifact has"


LOOP = helper.make_node("Loop", ["", "bad_true"], ["bad_item"], body=body())
FORBIDDEN: dict[str, tuple[Change, str]] = {
    "absolute external data": (set_external("location", "/etc/passwd"), external("/etc/passwd")),
    "external data above": (set_external("location", "../../secret"), external(r"\.\./\.\./secret")),
    "external data in another file": (set_external("location", "other"), external("other")),
    "external data in a constant": (add_constant_with_external_data, holds("field 5 of an attribute")),
    "external data in two files": (add_entry("location", "other"), external("other")),
    "external data with a checksum": (add_entry("checksum", "0"), holds("a tensor that is in two places")),
    "operator of another domain": (set_domain, holds("operators of the domain b'com.microsoft'")),
    "operator set of another domain": (add_opset, holds("operators of the domain b'com.microsoft'")),
    "operator set of another version": (set_opset, holds(r"IR version and operator sets \(8, 21\)")),
    "branch": (
        add_nodes(helper.make_node("If", ["x"], ["y"], then_branch=body(), else_branch=body())),
        operator("If"),
    ),
    "loop": (add_nodes(LOOP), operator("Loop")),
    "scan within a scan": (
        add_nodes(scan(fmt.TILE_BOUNDS, scan("bad_item"))),
        holds(r"a subgraph \(a loop or condition\)"),
    ),
    "operator of another domain in a scan": (
        add_nodes(scan(fmt.TILE_BOUNDS, helper.make_node("F", ["x"], ["y"], domain="com.microsoft"))),
        holds("operators of the domain b'com.microsoft'"),
    ),
    "random numbers": (
        add_nodes(helper.make_node("RandomNormal", [], ["x"], shape=[1])),
        holds("field 7 of an attribute|the operator 'RandomNormal'"),
    ),
    "text": (add_nodes(node("Cast", "x", "y", to=TensorProto.STRING)), holds("a Cast to the type 8")),
    "function": (add_function, holds("functions")),
    "training": (add_training, holds("training information")),
    "sparse tensor": (add_sparse, holds("sparse tensors")),
    "declared shapes": (add_value_info, holds("shapes of values between nodes")),
    "declared input": (declare_input, holds(r"an input or output of the shape \[1099511627776, None\]")),
    "declared output": (declare_output, holds(r"an input or output of the shape \[1099511627776, 24\]")),
    "tensor of numbers": (add_typed_data, holds("field 4 of a tensor")),
    "tensor of texts": (add_text_tensor, holds("a tensor of type 8")),
    "two values with one name": (rename_twice, holds("two things with the name '.*'")),
    "missing operand": (
        add_nodes(node("Relu", "nothing", "y")),
        r"not an ONNX graph \('nothing' is missing\)",
    ),
}


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_no_artifact_has(name: str, graph: str, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change, message = FORBIDDEN[name]
    model = read(tiny, graph)
    change(model)
    refuse(tiny, graph, model.SerializeToString(), message, monkeypatch)


@pytest.mark.parametrize(
    ("key", "value"),
    [("offset", "99999999"), ("length", "99999999999"), ("offset", "-8"), ("offset", "1" * 5000)],
)
def test_external_data_beyond_its_file(
    key: str, value: str, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = read(tiny, "portvec.graph")
    set_external(key, value)(model)
    message = r"(not an ONNX graph \(tensor 'vectors' .*\)|holds 5,000 bytes as value of an entry, .*)"
    refuse(tiny, "portvec.graph", model.SerializeToString(), message, monkeypatch)


# What a small file can ask for. `x` is float32 [texts or positions, ...], the ids of any graph.
def doubled(times: int) -> list[onnx.NodeProto]:
    return [node("Concat", *[f"bad_{index or ''}"] * 2, f"bad_{index + 1}", axis=0) for index in range(times)]


def squared(times: int) -> list[onnx.NodeProto]:
    """Each step takes the outer product of a vector with itself, and makes a vector of it."""
    nodes = []
    for index in range(times):
        value = f"bad_{index or ''}"
        nodes += [
            node("Unsqueeze", value, "bad_zero", f"{value}_row"),
            node("Unsqueeze", value, "bad_one", f"{value}_column"),
            node("Mul", f"{value}_row", f"{value}_column", f"{value}_square"),
            node("Reshape", f"{value}_square", "bad_all", f"bad_{index + 1}"),
        ]
    return nodes


NUMBERS: dict[str, Any] = {
    "bad_": np.ones(3, np.float32),
    "bad_zero": np.array([0]),
    "bad_one": np.array([1]),
    "bad_all": np.array([-1]),
    "bad_huge": np.array([1 << 40]),
    "bad_wide": np.array([1, 1 << 40]),
    "bad_indices": np.zeros(1000, np.int64),
    "bad_repeated": np.zeros(10, np.int64),
    "bad_excuse": np.zeros(1_000_000, np.int8),
    "bad_table": np.zeros((1, 1000), np.float32),
}
SIZE = holds("results whose size is out of proportion to the texts")
IDS = "<ids>"  # the name of a graph's ids
LARGE: dict[str, tuple[Sequence[onnx.NodeProto], str]] = {
    "Expand": ([node("Expand", "bad_", "bad_huge", "x")], SIZE),
    "Expand of ids": ([node("Expand", IDS, "bad_wide", "x")], SIZE),
    "Expand to numbers that the texts give": (
        [node("Cast", IDS, "bad_ids", to=TensorProto.INT64), node("Expand", "bad_", "bad_ids", "x")],
        r"not an ONNX graph \(a size or an axis that depends on the texts\)",
    ),
    "Expand to a shape of shapes": (
        [
            node("Shape", IDS, "bad_shape"),
            node("Concat", *["bad_shape"] * 5, "bad_shapes", axis=0),
            node("Expand", "bad_", "bad_shapes", "x"),
        ],
        SIZE,
    ),
    "Reshape": ([node("Reshape", "bad_", "bad_wide", "x")], SIZE),
    "forty Concats": (doubled(40), SIZE),
    "a Concat of many": (
        [node("Concat", *["bad_"] * 100, "x", axis=0)],
        holds("a node with more than 16 operands or results"),
    ),
    "outer products": (squared(6), SIZE),
    "an outer product of the ids": (
        [
            node("Reshape", IDS, "bad_all", "bad_flat"),
            node("Unsqueeze", "bad_flat", "bad_zero", "bad_row"),
            node("Unsqueeze", "bad_flat", "bad_one", "bad_column"),
            node("Equal", "bad_row", "bad_column", "x"),
        ],
        SIZE,
    ),
    "an outer product that a constant hides": (
        [
            node("Reshape", IDS, "bad_all", "bad_flat"),
            node("Concat", "bad_flat", "bad_flat", "bad_twice", axis=0),
            node("Unsqueeze", "bad_twice", "bad_zero", "bad_row"),
            node("Unsqueeze", "bad_twice", "bad_one", "bad_column"),
            node("Equal", "bad_row", "bad_column", "x"),
        ],
        SIZE,
    ),
    "a product of matrices": (
        [
            node("Gather", "bad_table", "bad_indices", "bad_rows", axis=0),
            node("Gemm", "bad_rows", "bad_rows", "bad_product", transB=1),
            node("Gemm", "bad_product", "bad_product", "x"),
        ],
        SIZE,
    ),
    "repeated rows": (
        [
            node("Gather", "bad_table", "bad_indices", "bad_rows", axis=0),
            node("Gather", "bad_rows", "bad_indices", "bad_more", axis=1),
            node("Unsqueeze", "bad_more", "bad_zero", "bad_3"),
            node("Gather", "bad_3", "bad_indices", "x", axis=0),
        ],
        SIZE,
    ),
    "a large tensor as an excuse": (
        [
            node("Relu", "bad_excuse", "x"),
            node("Gather", "bad_table", "bad_indices", "bad_rows", axis=0),
            node("Gather", "bad_rows", "bad_indices", "bad_more", axis=1),
            node("Unsqueeze", "bad_more", "bad_zero", "bad_3"),
            node("Gather", "bad_3", "bad_repeated", "y", axis=0),
        ],
        SIZE,
    ),
    "many nodes": (
        [node("Relu", "bad_", f"x{index}") for index in range(30_000)],
        f"({SIZE}|{holds('more than 65,536 fields')})",
    ),
    "ConstantOfShape": ([node("ConstantOfShape", "bad_huge", "x")], operator("ConstantOfShape")),
    "Tile": ([node("Tile", "bad_", "bad_huge", "x")], operator("Tile")),
    "Range": ([node("Range", "bad_zero", "bad_huge", "bad_one", "x")], operator("Range")),
    "Pad": ([node("Pad", "bad_", "bad_wide", "x")], operator("Pad")),
    "Resize": ([node("Resize", "bad_", "", "bad_", "x")], operator("Resize")),
    "OneHot": ([node("OneHot", "bad_zero", "bad_huge", "bad_", "x")], operator("OneHot")),
    "SequenceInsert": ([node("SequenceEmpty", "x")], operator("SequenceEmpty")),
    "Scan over a constant": ([scan("bad_indices")], holds("a Scan over something else than block_bounds")),
    "Scan over nothing": (
        [node("Expand", "bad_", "bad_huge", "bad_long"), scan("bad_long")],
        f"({SIZE}|{holds('a Scan over something else than block_bounds')})",
    ),
    "Scan over an axis": (
        [scan(fmt.TILE_BOUNDS, scan_input_axes=[1])],
        holds(r"the attributes \['body', 'num_scan_inputs', 'scan_input_axes'\] of Scan"),
    ),
}


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("name", LARGE)
def test_what_takes_too_much_time_or_memory(
    name: str, graph: str, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_large(tiny, name, graph, monkeypatch)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("name", [name for name, (_, message) in LARGE.items() if message == SIZE])
def test_wide_layers_in_the_manifest_excuse_nothing(
    name: str, graph: str, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph may do more if its vectors are long, but not as much as a manifest can claim."""
    dense = {"type": "dense", "activation": "gelu", "residual": True}
    wide = 2**31 - 1
    layers = [{**dense, "inputs": 24, "outputs": wide}, {**dense, "inputs": wide, "outputs": 24}]
    edit(tiny, lambda m: m.update(format_version=2, table_dim=24, layers=layers))
    refuse_large(tiny, name, graph, monkeypatch)


def refuse_large(folder: Path, name: str, graph: str, patch: pytest.MonkeyPatch) -> None:
    """Check that a graph with the nodes LARGE[name] is refused."""
    nodes, message = LARGE[name]
    model = read(folder, graph)
    add_nodes(*nodes, tensors=NUMBERS)(model)
    ids = model.graph.input[0].name
    for each in model.graph.node:
        each.input[:] = [ids if operand == IDS else operand for operand in each.input]
    refuse(folder, graph, model.SerializeToString(), message, patch)


PAYLOADS: dict[str, Change] = {
    "a file outside": set_external("location", "../../outside"),
    "a file that is not listed": set_external("location", "unlisted"),
    "a contributed operator": set_domain,
    "an endless loop": add_nodes(LOOP),
}


# Ways to write a field. The other changes leave out content or make it something else.
FORMS = [name for name in wire.DISGUISES if name not in ("dropped", "under another number")]


@pytest.mark.parametrize("disguise", FORMS)
@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("graph", GRAPHS)
def test_forbidden_content_in_disguise(
    payload: str, disguise: str, graph: str, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsers that skip what they do not know miss what others read there."""
    model = read(tiny, graph)
    PAYLOADS[payload](model)
    pieces = list(wire.split(model.SerializeToString()))
    content = b"".join(
        wire.DISGUISES[disguise](piece) if piece.number == 7 else piece.to_bytes() for piece in pieces
    )
    refuse(tiny, graph, content, "(holds|not an ONNX graph) .*", monkeypatch)


@pytest.mark.parametrize("disguise", FORMS)
def test_harmless_content_in_disguise(disguise: str, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every field, of every message, must be written as serializers write it."""
    content = (tiny / "portvec.graph").read_bytes()
    for changed in _disguised(content, onnx.ModelProto.DESCRIPTOR, wire.DISGUISES[disguise]):
        if not _is_canonical(changed):
            refuse(tiny, "portvec.graph", changed, "(holds|not an ONNX graph) .*", monkeypatch)


def _is_canonical(content: bytes) -> bool:
    """Return whether onnx would write the same bytes."""
    try:
        return bool(onnx.ModelProto.FromString(content).SerializeToString(deterministic=True) == content)
    except DecodeError:
        return False


def _disguised(content: bytes, descriptor: Any, disguise: Callable[[wire.Piece], bytes]) -> list[bytes]:
    """Return the message once for each of its fields and theirs, with that field in disguise."""
    pieces = list(wire.split(content))
    found = []
    for index, piece in enumerate(pieces):
        before = b"".join(each.to_bytes() for each in pieces[:index])
        after = b"".join(each.to_bytes() for each in pieces[index + 1 :])
        found.append(before + disguise(piece) + after)
        known = descriptor.fields_by_number[piece.number]
        if known.message_type is not None:
            for inner in _disguised(wire.content_of(piece), known.message_type, disguise):
                found.append(before + wire.Piece(piece.number, 2, wire.sized(inner)).to_bytes() + after)
    return found


def test_damaged_graphs_with_a_fitting_manifest_never_crash(tiny: Path) -> None:
    original = (tiny / "portvec.graph").read_bytes()
    rng = random.Random(3)
    for _ in range(300):
        damaged = bytearray(original)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        replace_file(tiny, "portvec.graph", bytes(damaged))
        with suppress(ArtifactError):
            StaticEmbedder.load(tiny).encode(["the value", ""])


def check(artifact: Artifact, name: str, content: bytes) -> CheckedGraph | None:
    """Return a graph that has taken the place of one of the artifact's, if it is accepted."""
    contents = {**artifact.contents, name: content}
    try:
        return check_graph(replace(artifact, contents=contents), name, fmt.data_of(fmt.GRAPH))
    except ArtifactError:
        return None


def find_forbidden(message: Any, *, inside: bool = False) -> list[str]:
    """Look for what a graph must not have, in the message as onnx reads it."""
    found = ["unknown fields"] if len(UnknownFieldSet(message)) else []
    kind = message.DESCRIPTOR.name
    if kind == "ModelProto" and (message.functions or message.training_info):
        found.append("functions or training")
    if kind in ("NodeProto", "OperatorSetIdProto") and message.domain not in ("", "ai.onnx"):
        found.append(f"domain {message.domain}")
    if kind == "NodeProto" and message.op_type in ("Loop", "If", "ConstantOfShape", "Tile", "Constant"):
        found.append(message.op_type)
    if kind == "TensorProto" and message.data_location == TensorProto.EXTERNAL:
        entries = {entry.key: entry.value for entry in message.external_data}
        if entries["location"] not in ("model.onnx_data", "onnx/model.onnx_data"):
            found.append(entries["location"])
    elif kind == "TensorProto" and message.external_data:
        found.append("external data that is inside")
    if kind == "AttributeProto":
        if message.graphs or message.sparse_tensors or message.HasField("sparse_tensor"):
            found.append("subgraphs or sparse tensors")
        if message.HasField("g"):
            found += ["a subgraph in a subgraph"] * inside
            inside = True
    if kind == "GraphProto" and message.sparse_initializer:
        found.append("sparse tensors")
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in [value] if hasattr(value, "ListFields") else value:
                found += find_forbidden(each, inside=inside)
    return found


def same_but_for_tensors(ours: bytes, theirs: onnx.ModelProto) -> bool:
    """Return whether two models are the same, wherever the numbers of their tensors are."""
    written = onnx.ModelProto.FromString(ours)
    assert not any(tensor.external_data for tensor in written.graph.initializer)
    expected = onnx.ModelProto()
    expected.CopyFrom(theirs)
    for model in (written, expected):
        for tensor in model.graph.initializer:
            for field in ("dims", "raw_data", "external_data", "data_location"):
                tensor.ClearField(field)
    return bool(written == expected)


@pytest.mark.parametrize("name", GRAPHS)
def test_what_is_found_is_what_no_graph_has(name: str, tiny: Path) -> None:
    model = read(tiny, name)
    assert find_forbidden(model) == []
    content = model.SerializeToString()
    checked = check(open_artifact(tiny), name, content)
    assert checked is not None
    assert same_but_for_tensors(checked.to_bytes(shared=True), model)
    for payload in PAYLOADS.values():
        model = onnx.ModelProto.FromString(content)
        payload(model)
        assert len(find_forbidden(model)) == 1


@pytest.mark.fuzz
@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("dtype", ["float32", "int4"])
def test_what_is_accepted_is_what_onnx_reads(name: str, dtype: str, tiny_model: Path, tmp_path: Path) -> None:
    """Whatever is accepted, onnx's own parser finds nothing forbidden in it, and the same as we do."""
    artifact = open_artifact(export_model(tiny_model, tmp_path / "artifact", dtype=dtype))
    original = bytes(artifact.contents[name])
    by_field = wire.changed(original, onnx.ModelProto.DESCRIPTOR)
    twice_by_field = by_field.flatmap(
        lambda once: wire.changed(once, onnx.ModelProto.DESCRIPTOR) if _is_canonical(once) else st.just(once)
    )
    by_byte = st.builds(
        lambda inserted, start, removed: original[:start] + inserted + original[start + removed :],
        st.binary(max_size=20),
        st.integers(0, len(original)),
        st.integers(0, 20),
    )

    @settings(max_examples=300 * FUZZ, deadline=None)
    @given(by_field | twice_by_field | by_byte)
    def compare(content: bytes) -> None:
        checked = check(artifact, name, content)
        if checked is None:
            return
        message = onnx.ModelProto.FromString(content)
        assert find_forbidden(message) == []
        assert same_but_for_tensors(checked.to_bytes(shared=True), message)

    compare()
