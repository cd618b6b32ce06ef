"""The bounds for the sizes of a graph's values: those of the exporter's graphs are exact."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import classifiers
import layered
import tiny_models
from portvec._artifact import format as fmt
from portvec._artifact.folder import open_artifact
from portvec._inference import graph_work
from portvec._inference.onnx_schema import MODEL
from portvec._inference.onnxruntime import onnxruntime as ort
from portvec._inference.operators import OPERATORS, Node, Size
from portvec._inference.protobuf import decode
from portvec_export import export_model
from project import ROOT


def _means(folder: Path) -> None:
    tiny_models.save(folder, normalize=False)


def _classifier(folder: Path) -> None:
    classifiers.pipeline("softmax").save_pretrained(str(folder))


def _mapped(folder: Path) -> None:
    mapping = (np.arange(800) % 100).astype(np.int32)
    weights = np.linspace(0.01, 3, 800, dtype=np.float32)
    tiny_models.save(folder, vectors=tiny_models.vectors(100), token_mapping=mapping, weights=weights)


MODELS: dict[str, Callable[[Path], Any]] = {
    "unit vectors": tiny_models.save,
    "means": _means,
    "classifier": _classifier,
    "mapping and weights": _mapped,
}
BATCHES = [(20, 3, 2), (33, 1, 5), (17, 8, 1)]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "int4"])
@pytest.mark.parametrize("kind", MODELS)
def test_bounds_of_exported_graphs(kind: str, dtype: str, tmp_path: Path) -> None:
    """Every value of every graph is as large as it was bound to be, so no bound is too low."""
    MODELS[kind](tmp_path / "model")
    check_bounds(export_model(tmp_path / "model", tmp_path / "artifact", dtype=dtype))


@pytest.mark.parametrize("kind", layered.LAYERS)
def test_bounds_of_layers(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_bounds(layered.export(tmp_path, layered.LAYERS[kind], monkeypatch))


def check_bounds(folder: Path) -> None:
    artifact = open_artifact(folder)
    for name in (fmt.GRAPH, fmt.RUNTIME_GRAPH):
        model = onnx.load(str(folder / name))
        arrays = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
        names = [output for node in model.graph.node for output in node.output]
        declared = {port.name for port in model.graph.output}
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in declared)
        session = ort.InferenceSession(model.SerializeToString())
        graph = decode(memoryview(artifact.contents[name]), MODEL)["graph"]
        for tokens, texts, tiles in BATCHES:
            tiles = tiles if name == fmt.RUNTIME_GRAPH else 1
            sizes = graph_work.Sizes(arrays, tokens, texts, tiles)
            known = {**sizes._known, **{name: Size(shape) for name, shape in sizes._inputs.items()}}
            sizes._of_graph(graph, known)
            feeds = _feeds([port.name for port in session.get_inputs()], tokens, texts, tiles)
            for value, got in zip(names, session.run(names, feeds), strict=True):
                assert known[value].shape == got.shape, (name, value)


def _feeds(names: list[str], tokens: int, texts: int, tiles: int) -> dict[str, np.ndarray]:
    feeds = {
        fmt.TOKEN_IDS: np.full((tokens, texts), 5, np.int32),
        fmt.TILE_BOUNDS: np.array([[0, tokens]] * tiles),
        fmt.TOKEN_COUNTS: np.ones((texts * tiles, 1), np.float32),
        fmt.INPUT_IDS: np.full((texts, tokens), 5),
        fmt.ATTENTION_MASK: np.ones((texts, tokens), np.int64),
    }
    return {name: feeds[name] for name in names}


FIVE = Size((2, 3), None)


@pytest.mark.parametrize(
    ("kind", "operands", "attributes", "message"),
    [
        ("Gather", [FIVE, FIVE], {"axis": 2}, "axis 2 of a tensor with 2 axes"),
        ("Concat", [FIVE, FIVE], {}, "axis is missing"),
        ("Concat", [FIVE, Size((2,))], {"axis": 0}, "Concat of tensors with different numbers of axes"),
        ("Expand", [FIVE, Size((1,))], {}, "a size or an axis that depends on the texts"),
        ("Expand", [FIVE, Size((1,), (-1,))], {}, "a negative length"),
        ("Reshape", [FIVE, Size((2,), (-1, -1))], {}, "a negative length"),
        ("Reshape", [FIVE, Size((3,), (1, 1, 0))], {}, "axis 2 of a tensor with 2 axes"),
        ("Slice", [FIVE, FIVE, FIVE], {}, "Slice without axes or with steps"),
        ("Split", [FIVE, FIVE], {}, "Split into parts of given lengths"),
        ("Transpose", [FIVE], {"perm": [0, 0]}, "Transpose to an order that leaves out axes"),
        ("MatMulInteger", [FIVE, Size((2,))], {}, "a product of tensors that are no matrices"),
        ("Gemm", [FIVE, Size((1, 2, 3))], {}, "a product of tensors that are no matrices"),
        ("Relu", [None], {}, "an operand is missing"),
    ],
)
def test_nodes_without_bounds(
    kind: str, operands: list[Size | None], attributes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        OPERATORS[kind].size(Node(operands, attributes, 1))


@pytest.mark.parametrize(
    ("kind", "operands", "attributes", "shape"),
    [
        ("Reshape", [Size((6,)), Size((2,), (4, -1))], {}, (4, 2)),  # more than there is, never less
        ("Reshape", [Size((0, 4)), Size((1,), (-1,))], {}, (0,)),
        ("Slice", [FIVE, Size((1,), (1,)), Size((1,), (2,)), Size((1,), (1,))], {}, (2, 3)),
        ("Slice", [FIVE, Size((1,), (0,)), Size((1,), (-1,)), Size((1,), (1,))], {}, (2, 3)),
        ("Slice", [FIVE, Size((1,), (0,)), Size((1,), (2,)), Size((1,), (1,))], {}, (2, 2)),
        ("Split", [Size((5, 2))], {"axis": 0}, (5, 2)),
        ("ReduceSum", [FIVE], {}, (1, 1)),
        ("ReduceSum", [FIVE, Size((1,), (-1,))], {"keepdims": 0}, (2,)),
        ("ReduceL2", [FIVE], {"axes": [1]}, (2, 1)),
        ("Gemm", [Size((3, 2)), Size((4, 3)), Size((1, 4))], {"transA": 1, "transB": 1}, (2, 4)),
        ("Transpose", [Size((1, 2, 3))], {}, (3, 2, 1)),
        ("Add", [Size((3, 1)), Size((4,)), Size(())], {}, (3, 4)),
    ],
)
def test_bounds(kind: str, operands: list[Size | None], attributes: dict[str, Any], shape: Any) -> None:
    assert OPERATORS[kind].size(Node(operands, attributes, 1)).shape == shape


def test_the_format_lists_the_operators() -> None:
    page = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
    listed = re.search(r"operators MUST be among these:\n\n((?:> .*\n)+)", page)
    assert listed is not None
    assert re.findall(r"\w+", listed[1]) == sorted([*OPERATORS, "Scan"])


def test_a_product_counts_what_it_adds() -> None:
    node = Node([Size((2, 3, 4)), Size((2, 4, 5))], {}, 1)
    assert OPERATORS["MatMulInteger"].products(node) == 2 * 3 * 4 * 5
    transposed = Node([Size((4, 3)), Size((5, 4))], {"transA": 1, "transB": 1}, 1)
    assert OPERATORS["Gemm"].products(transposed) == 3 * 4 * 5
