"""Graphs with text input made to do harm: onnxruntime gets none that reads files, or has other operators."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import character_graphs
from damage import edit, replace_file
from damaged_graphs import add_function, add_sparse, add_value_info
from portvec import StaticEmbedder
from portvec._artifact import format as fmt
from portvec._artifact.folder import open_artifact
from portvec._inference.onnxruntime import onnxruntime
from portvec._inference.text_graph import TextGraph
from portvec._inference.text_validation import check_text_graph
from portvec.errors import ArtifactError
from shared import make_once

Change = Callable[[onnx.ModelProto], object]
NAME = fmt.TEXT_GRAPHS[fmt.STRINGS]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact with a graph that takes strings; read-only by agreement."""

    def make(folder: Path) -> None:
        character_graphs.export(folder, kinds=(fmt.STRINGS,))

    return make_once(tmp_path_factory, "character-graph", make) / "artifact"


@pytest.fixture
def artifact(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "artifact"))


def change_graph(artifact: Path, change: Change) -> None:
    model = onnx.load_model_from_string((artifact / NAME).read_bytes())
    change(model)
    replace_file(artifact, NAME, model.SerializeToString())


def add_node(kind: str, *inputs: str, domain: str = "", **attributes: Any) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.graph.node.append(helper.make_node(kind, inputs, ["bad"], domain=domain, **attributes))

    return change


def set_opset(index: int, version: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.opset_import[index].version = version

    return change


def add_opset(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("ai.onnx.contrib", 1))


def set_external(model: onnx.ModelProto) -> None:
    tensor = next(each for each in model.graph.initializer if each.name == "ids_of")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="model.onnx_data")


def external_constant() -> TensorProto:
    tensor = TensorProto(name="c", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def add_text_tensor(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(
        TensorProto(name="input_ids_of", data_type=TensorProto.STRING, dims=[1], string_data=[b"x"])
    )
    model.graph.node.append(helper.make_node("Identity", ["input_ids_of"], ["bad"]))


def add_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.INT64, [1]))


def rename_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64


def rename_output(model: onnx.ModelProto) -> None:
    next(port for port in model.graph.output if port.name == fmt.INPUT_IDS).name = "others"


def rename_twice(model: onnx.ModelProto) -> None:
    model.graph.node[1].output[0] = model.graph.node[0].output[0]


def body(*nodes: onnx.NodeProto, tensors: list[TensorProto] | None = None) -> onnx.GraphProto:
    result = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.INT64, [])
    return helper.make_graph(nodes, "body", [], [result], tensors or [])


def branch(inner: onnx.GraphProto) -> onnx.NodeProto:
    return helper.make_node("If", ["condition"], ["bad"], then_branch=inner, else_branch=inner)


def nested(times: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        node = helper.make_node("Identity", ["x"], ["bad"])
        for _ in range(times):
            node = branch(body(node))
        model.graph.node.append(node)

    return change


def in_a_branch(kind: str, domain: str = "", tensors: list[TensorProto] | None = None) -> Change:
    def change(model: onnx.ModelProto) -> None:
        inner = helper.make_node(kind, ["x"], ["bad"], domain=domain)
        model.graph.node.append(branch(body(inner, tensors=tensors)))

    return change


def in_an_attribute(model: onnx.ModelProto) -> None:
    inner = body(helper.make_node("Identity", ["x"], ["bad"]))
    model.graph.node.append(helper.make_node("Identity", ["x"], ["y"], body=inner))


def holds(what: str) -> str:
    return f"holds {what}, which no portvec artifact has; do not use this artifact"


FORBIDDEN: dict[str, tuple[Change, str]] = {
    "external data": (set_external, holds("external data in b'model.onnx_data'")),
    "external data in a constant": (
        add_node("Constant", value=external_constant()),
        holds("external data in b'/etc/passwd'"),
    ),
    "unknown operator": (add_node("RandomNormalLike", "x"), holds("the operator 'RandomNormalLike'")),
    "operator that reads the locale": (
        add_node("StringNormalizer", "text"),
        holds("the operator 'StringNormalizer'"),
    ),
    "other operator of onnxruntime": (
        add_node("BeamSearch", "x", domain="com.microsoft"),
        holds("the operator 'BeamSearch'"),
    ),
    "standard operator in another domain": (
        add_node("Add", "x", domain="com.microsoft"),
        holds("the operator 'Add'"),
    ),
    "other domain": (
        add_node("ReadFile", "x", domain="ai.onnx.contrib"),
        holds("operators of the domain b'ai.onnx.contrib'"),
    ),
    "other operator sets": (add_opset, holds(r"IR version 8 and operator sets \{.*contrib.*\}")),
    "other version": (set_opset(0, 21), holds(r"IR version 8 and operator sets \{b'': 21, .*\}")),
    "function": (add_function, holds("functions")),
    "training": (lambda model: model.training_info.add(), holds("training information")),
    "sparse tensor": (add_sparse, holds("sparse tensors")),
    "declared shapes": (add_value_info, holds("shapes of values between nodes")),
    "tensor of texts": (add_text_tensor, holds("field 6 of a tensor")),
    "another input": (add_input, holds(r"the inputs \{.*'more': 'tensor\(int64\)'\}")),
    "input of another type": (rename_input, holds(r"the inputs \{'text': 'tensor\(int64\)'\}")),
    "output that is missing": (
        rename_output,
        r"not an ONNX graph \('input_ids' is missing\); export again",
    ),
    "two values with one name": (rename_twice, holds("two things with the name '.*'")),
    "unknown operator in a body": (in_a_branch("Optional"), holds("the operator 'Optional'")),
    "other domain in a body": (
        in_a_branch("F", "x.y"),
        holds("operators of the domain b'x.y'"),
    ),
    "tensors in a body": (
        in_a_branch("Identity", tensors=[numpy_helper.from_array(np.zeros(1), "x")]),
        holds("tensors in a subgraph"),
    ),
    "body of an operator that has none": (in_an_attribute, holds("a subgraph of Identity")),
    "deep bodies": (nested(8), holds("subgraphs in each other more than 6 times")),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_no_artifact_has(name: str, artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change, message = FORBIDDEN[name]
    change_graph(artifact, change)

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("onnxruntime was given the graph")

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    with pytest.raises(ArtifactError, match=f"{NAME}: {message}$"):
        StaticEmbedder.load(artifact, tokenizer="graph")


def test_code_points_need_no_operators_of_onnxruntime(tmp_path: Path) -> None:
    """Where the input is code points, the graph is of the standard domain only."""
    folder = character_graphs.export(tmp_path, kinds=(fmt.STRINGS,))
    name = fmt.TEXT_GRAPHS[fmt.STRINGS]
    edit(folder, lambda manifest: manifest.update(text_inputs={fmt.CODE_POINTS: name}))
    with pytest.raises(ArtifactError, match=r"IR version 8 and operator sets \{.*com.microsoft.*\}"):
        StaticEmbedder.load(folder, tokenizer="graph")


def test_only_what_ids_need_is_loaded(exported: Path) -> None:
    """The table is left out, and what bodies use of the graph around them is kept."""
    opened = open_artifact(exported)
    whole = check_text_graph(opened, fmt.STRINGS, [fmt.SENTENCE_EMBEDDING, fmt.INPUT_IDS])
    ids = check_text_graph(opened, fmt.STRINGS, [fmt.INPUT_IDS])
    assert set(whole.tensors) > set(ids.tensors)
    assert "vectors" not in ids.tensors
    assert list(ids.ports.outputs) == [fmt.INPUT_IDS]
    # The largest tensor is shared between sessions.
    assert list(ids.tables) == ["ids_of"]
    assert len(ids.to_bytes(shared=True)) < 20_000


def test_all_outputs(exported: Path) -> None:
    texts = ["abc", "", "j\0", "?"]
    plain = StaticEmbedder.load(exported, tokenizer="tokenizers")
    for optimize in (True, False):
        outputs = [fmt.SENTENCE_EMBEDDING, fmt.INPUT_IDS]
        graph = TextGraph(open_artifact(exported), fmt.STRINGS, outputs, optimize=optimize)
        embeddings, ids = graph.run(texts)
        assert graph.read_ids(ids, len(texts)).lists() == plain.tokenize(texts).lists()
        np.testing.assert_allclose(embeddings, plain.encode(texts), atol=1e-6)


def test_bodies_keep_what_they_use(artifact: Path) -> None:
    """A branch reads a value and a tensor of the graph around it."""

    def change(model: onnx.ModelProto) -> None:
        nodes = model.graph.node
        last = next(node for node in nodes if fmt.INPUT_IDS in node.output)
        last.output[0] = "plain_ids"
        nodes.append(helper.make_node("Shape", ["plain_ids"], ["shape"]))
        nodes.append(helper.make_node("Size", ["shape"], ["size"]))
        nodes.append(helper.make_node("Cast", ["size"], ["is_there"], to=TensorProto.BOOL))
        model.graph.initializer.append(numpy_helper.from_array(np.array(0, np.int64), "nothing"))
        result = helper.make_tensor_value_info("sum", TensorProto.INT64, ["n", "m"])
        inner = [helper.make_node("Add", ["plain_ids", "nothing"], ["sum"])]
        graph = helper.make_graph(inner, "body", [], [result])
        nodes.append(
            helper.make_node("If", ["is_there"], [fmt.INPUT_IDS], then_branch=graph, else_branch=graph)
        )

    change_graph(artifact, change)
    assert StaticEmbedder.load(artifact, tokenizer="graph").tokenize(["abc", "b"]).lists() == [[1, 2, 3], [2]]


def replace_ids(*nodes: onnx.NodeProto, tensors: dict[str, Any]) -> Change:
    """Compute other ids from `ids`, those of the graph."""

    def change(model: onnx.ModelProto) -> None:
        last = next(node for node in model.graph.node if fmt.INPUT_IDS in node.output)
        last.output[0] = "ids"
        model.graph.node.extend(nodes)
        for name, array in tensors.items():
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))

    return change


def made(kind: str, *inputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [fmt.INPUT_IDS], **attributes)


LIES: dict[str, tuple[Change, str]] = {
    "id beyond the table": (
        replace_ids(made("Add", "ids", "much"), tensors={"much": np.int64(1000)}),
        r"model_text.onnx: has the token id 100\d, but the table has vectors for 0 to 16; copy",
    ),
    "negative id": (
        replace_ids(made("Sub", "ids", "much"), tensors={"much": np.int64(2**40)}),
        r"model_text.onnx: has the token id -1099511627\d+, but the table has vectors for 0 to 16; copy",
    ),
    "padding before an id": (
        replace_ids(made("Pad", "ids", "pads", "padding"), tensors={"pads": [0, 1, 0, 0], "padding": -1}),
        r"gives ids for 2 texts as int64 \[2, 4\], expected int64 \[2, length\] with padding at the end",
    ),
    "a row too many": (
        replace_ids(made("Pad", "ids", "pads", "padding"), tensors={"pads": [1, 0, 0, 0], "padding": -1}),
        r"gives ids for 2 texts as int64 \[3, 3\], expected",
    ),
    "another type": (
        replace_ids(made("Cast", "ids", to=TensorProto.INT32), tensors={}),
        r"onnxruntime cannot load this graph|gives ids for 2 texts as int32 \[2, 3\], expected",
    ),
    "another rank": (
        replace_ids(made("Unsqueeze", "ids", "axes"), tensors={"axes": [0]}),
        r"onnxruntime cannot load this graph|gives ids for 2 texts as int64 \[1, 2, 3\], expected",
    ),
    "a failure": (
        replace_ids(made("Reshape", "ids", "shape"), tensors={"shape": [17, 19]}),
        "onnxruntime fails on this graph",
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_ids_that_no_graph_gives(name: str, artifact: Path) -> None:
    change, message = LIES[name]
    change_graph(artifact, change)
    with pytest.raises(ArtifactError, match=message):
        StaticEmbedder.load(artifact, tokenizer="graph").encode(["abc", "b"])


def test_damaged_bytes(artifact: Path) -> None:
    """Whatever is changed, the graph is refused, or it is what onnx's own parser reads."""
    content = (artifact / NAME).read_bytes()
    start = content.index(b"ids_of") + 100
    structure = [*range(start), *range(len(content) - 400, len(content))]  # without the numbers of the table
    generator = random.Random(1)
    refused = 0
    for _ in range(200):
        changed = bytearray(content)
        changed[generator.choice(structure)] = generator.randrange(256)
        replace_file(artifact, NAME, bytes(changed))
        try:
            graph = check_text_graph(open_artifact(artifact), fmt.STRINGS, [fmt.INPUT_IDS])
        except ArtifactError:
            refused += 1
            continue
        written = onnx.load_model_from_string(graph.to_bytes(shared=True))
        read = onnx.load_model_from_string(bytes(changed))
        nodes = [node for node in read.graph.node if node in written.graph.node]
        assert list(written.graph.node) == nodes
    assert refused > 30
