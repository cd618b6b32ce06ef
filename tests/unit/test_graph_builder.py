"""The builder of ONNX graphs, and the file of external data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from portvec._inference.onnxruntime import onnxruntime as ort
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.data_file import write_data_file
from portvec_export._onnx.operators import Value


def run(model: onnx.ModelProto, **feeds: Any) -> list[np.ndarray]:
    onnx.checker.check_model(model, full_check=True)
    outputs: list[np.ndarray] = ort.InferenceSession(model.SerializeToString()).run(None, feeds)
    return outputs


def numbers(graph: Graph, name: str = "x") -> Value:
    return graph.input(name, np.float32, ["n"])


def initializers(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def test_a_formula_computes_what_it_says() -> None:
    graph = Graph()
    x = numbers(graph)
    graph.output("y", graph.div(graph.add(x, np.float32(1)), graph.mul(x, x)), np.float32, ["n"])
    model = graph.to_model()
    assert (model.ir_version, [(entry.domain, entry.version) for entry in model.opset_import]) == (
        8,
        [("", 14)],
    )
    x_value = np.array([1, 2, 4], np.float32)
    np.testing.assert_array_equal(run(model, x=x_value)[0], (x_value + 1) / (x_value * x_value))


def test_shapes_and_axes() -> None:
    graph = Graph()
    x = graph.input("x", np.float32, ["a", "b"])
    turned = graph.transpose(x, 1, 0)
    summed = graph.reduce_sum(turned, axis=1, keepdims=True)
    cut = graph.slice(graph.concat(summed, summed, axis=1), 1, 3, axis=0)
    picked = graph.gather(cut, np.array([1, 0]), axis=1)
    same = graph.squeeze(graph.unsqueeze(picked, 0), 0)
    graph.output("y", graph.cast(graph.reshape(same, 0, -1), np.int64), np.int64, [2, 2])
    x_value = np.arange(8, dtype=np.float32).reshape(2, 4)
    (got,) = run(graph.to_model(), x=x_value)
    sums = x_value.sum(axis=0)[1:3].astype(np.int64)
    np.testing.assert_array_equal(got, np.stack([sums, sums], axis=1))


def test_comparisons() -> None:
    graph = Graph()
    x = numbers(graph)
    is_two = graph.equal(x, np.float32(2))
    bounded = graph.minimum(graph.maximum(x, np.float32(0)), np.float32(3))
    graph.output("y", graph.where(is_two, np.float32(-1), graph.sub(bounded, x)), np.float32, ["n"])
    (got,) = run(graph.to_model(), x=np.array([-5, 1, 2, 7], np.float32))
    np.testing.assert_array_equal(got, np.array([5, 0, -1, -4], np.float32))


def test_equal_constants_are_stored_once_and_others_apart() -> None:
    graph = Graph()
    x = numbers(graph)
    for number in (np.float32(2), np.float32(2), np.array(2, np.float32)):
        x = graph.mul(x, number)
    x = graph.add(x, np.array([2], np.float32))  # of another shape
    x = graph.cast(graph.mul(graph.cast(x, np.int64), np.int64(2)), np.float32)  # of another type
    graph.output("y", x, np.float32, ["n"])
    model = graph.to_model()
    assert len(initializers(model)) == 3
    np.testing.assert_array_equal(run(model, x=np.ones(1, np.float32))[0], [20])


def test_the_same_calls_give_the_same_bytes() -> None:
    def build() -> bytes:
        graph = Graph()
        x = numbers(graph)
        graph.output("y", graph.add(graph.mul(x, np.float32(3)), x), np.float32, ["n"])
        content: bytes = graph.to_model().SerializeToString(deterministic=True)
        return content

    assert build() == build()


def test_outputs_give_values_their_names_without_a_node() -> None:
    graph = Graph()
    x = numbers(graph)
    inner = graph.add(x, x)
    graph.output("last", graph.mul(inner, inner), np.float32, ["n"])
    graph.output("inner", inner, np.float32, ["n"])
    model = graph.to_model()
    assert [node.op_type for node in model.graph.node] == ["Add", "Mul"]
    assert [output.name for output in model.graph.output] == ["last", "inner"]
    last, first = run(model, x=np.array([3], np.float32))
    assert last == 36
    assert first == 6


def test_a_value_cannot_have_two_names() -> None:
    graph = Graph()
    x = numbers(graph)
    with pytest.raises(ValueError, match="output y: the value has another name; pass it through identity"):
        graph.output("y", x, np.float32, ["n"])
    doubled = graph.add(x, x)
    graph.output("y", doubled, np.float32, ["n"])
    with pytest.raises(ValueError, match="output z: the value has another name"):
        graph.output("z", doubled, np.float32, ["n"])
    graph.output("z", graph.identity(doubled), np.float32, ["n"])
    y, z = run(graph.to_model(), x=np.ones(2, np.float32))
    np.testing.assert_array_equal(y, z)


def test_an_operand_may_be_left_out() -> None:
    graph = Graph()
    a = graph.input("a", np.uint8, [1, "n"])
    products = graph.node("MatMulInteger", a, np.array([[1], [2]], np.int8), None, np.int8(1))
    graph.output("y", products, np.int32, [1, 1])
    (got,) = run(graph.to_model(), a=np.array([[10, 20]], np.uint8))
    assert got == 10 * 0 + 20 * 1


def test_nodes_with_several_outputs() -> None:
    graph = Graph()
    first, second = graph.nodes("Split", 2, graph.input("x", np.float32, [4]), axis=0)
    graph.output("y", graph.sub(second, first), np.float32, [2])
    (got,) = run(graph.to_model(), x=np.array([1, 2, 5, 9], np.float32))
    np.testing.assert_array_equal(got, [4, 7])


def test_an_input_with_a_default_may_be_left_out() -> None:
    graph = Graph()
    x = numbers(graph)
    factor = graph.input("factor", np.float32, [1], default=np.array([10], np.float32))
    graph.output("y", graph.mul(x, factor), np.float32, ["n"])
    model = graph.to_model()
    assert not graph.tensors
    assert run(model, x=np.ones(1, np.float32)) == [10]
    assert run(model, x=np.ones(1, np.float32), factor=np.array([2], np.float32)) == [2]


class TestTensors:
    def test_are_stored_under_their_names_in_order(self) -> None:
        graph = Graph()
        table, bias = np.eye(3, dtype=np.float32), np.arange(3, dtype=np.float32)
        rows = graph.gather(graph.tensor("table", table), graph.input("ids", np.int64, ["n"]))
        graph.output("y", graph.add(rows, graph.tensor("bias", bias)), np.float32, ["n", 3])
        assert graph.tensor("table", table) is graph.tensor("table", table)
        assert list(graph.tensors) == ["table", "bias"]
        (got,) = run(graph.to_model(), ids=np.array([2, 0]))
        np.testing.assert_array_equal(got, table[[2, 0]] + bias)

    def test_names_belong_to_one_array(self) -> None:
        graph = Graph()
        graph.tensor("table", np.zeros(3))
        with pytest.raises(ValueError, match="tensor table: the name belongs to another array"):
            graph.tensor("table", np.zeros(3))


class TestScan:
    @staticmethod
    def build() -> Graph:
        """Sums of slices of x, each times a factor and plus a stored offset."""
        graph = Graph()
        x, factor = numbers(graph), graph.input("factor", np.float32, [])
        bounds = graph.input("bounds", np.int64, ["slices", 2])

        def sum_slice(body: Graph, each: Value) -> Value:
            start, end = body.nodes("Split", 2, each, axis=0)
            total = body.mul(body.reduce_sum(body.slice(x, start, end, axis=0), axis=0), factor)
            return body.add(total, body.mul(body.tensor("offset", OFFSET), np.float32(1)))

        sums = graph.scan(bounds, sum_slice, item=(np.int64, [2]), result=(np.float32, []))
        graph.output("y", graph.mul(sums, np.float32(1)), np.float32, ["slices"])
        return graph

    def test_a_fold_hands_states_on_and_stacks_results(self) -> None:
        graph = Graph()
        x, y = (graph.input(name, np.float32, ["items", 2]) for name in ("x", "y"))

        def add(body: Graph, states: list[Value], items: list[Value]) -> tuple[list[Value], list[Value]]:
            total = body.add(states[0], body.mul(items[0], items[1]))
            return [total], [body.reduce_sum(total, axis=0), body.sub(items[0], items[1])]

        pair = (np.float32, [2])
        zeros = graph.constant(np.zeros(2, np.float32))
        states, results = graph.fold(
            [zeros], [x, y], add, types=([pair], [pair, pair], [(np.float32, []), pair])
        )
        graph.output("total", states[0], np.float32, [2])
        graph.output("sums", results[0], np.float32, ["items"])
        graph.output("differences", results[1], np.float32, ["items", 2])
        a, b = np.array([[1, 2], [3, 4], [5, 6]], np.float32), np.array([[1, 0], [2, 1], [0, 3]], np.float32)
        total, sums, differences = run(graph.to_model(), x=a, y=b)
        np.testing.assert_array_equal(total, [7, 22])
        np.testing.assert_array_equal(sums, [1, 11, 29])
        np.testing.assert_array_equal(differences, a - b)

    def test_bodies_use_values_of_the_graph_around_them(self) -> None:
        feeds = {"x": np.arange(6, dtype=np.float32), "factor": np.array(2, np.float32)}
        (got,) = run(self.build().to_model(), **feeds, bounds=np.array([[0, 2], [1, 6]]))
        np.testing.assert_array_equal(got, [0.5 + 2 * 1, 0.5 + 2 * 15])

    def test_bodies_store_nothing_of_their_own(self) -> None:
        graph = self.build()
        model = graph.to_model()
        (body,) = [
            attribute.g for node in model.graph.node for attribute in node.attribute if attribute.g.node
        ]
        assert not body.initializer
        assert list(graph.tensors) == ["offset"]
        stored = initializers(model).values()
        assert sum(array.dtype == np.float32 and array.ndim == 0 and array == 1 for array in stored) == 1

    def test_names_are_unique_across_bodies(self) -> None:
        model = self.build().to_model()
        bodies = [
            attribute.g for node in model.graph.node for attribute in node.attribute if attribute.g.node
        ]
        names = [name for graph in (model.graph, *bodies) for node in graph.node for name in node.output]
        assert len(set(names)) == len(names)


OFFSET = np.array(0.5, np.float32)
TENSORS: dict[str, np.ndarray] = {
    "small": np.arange(5, dtype=np.int8),
    "large": np.arange(20_000, dtype=np.float32),
    "other": np.arange(7, dtype=">i8"),  # files are little-endian on every processor
}


class TestDataFile:
    def test_holds_tensors_where_the_graph_says(self, tmp_path: Path) -> None:
        graph = Graph()
        for name, array in TENSORS.items():
            value = graph.tensor(name, array)
            graph.output(f"{name}_out", graph.identity(value), array.dtype.newbyteorder("="), array.shape)
        data = write_data_file(tmp_path / "data", graph.tensors)
        onnx.save(graph.to_model(data.store), tmp_path / "model.onnx")
        outputs = ort.InferenceSession(str(tmp_path / "model.onnx")).run(None, {})
        for got, expected in zip(outputs, TENSORS.values(), strict=True):
            np.testing.assert_array_equal(got, expected)

    def test_is_aligned_so_that_large_tensors_can_be_mapped(self, tmp_path: Path) -> None:
        data = write_data_file(tmp_path / "data", TENSORS)
        assert data.offsets == {"small": 0, "large": 1 << 16, "other": (1 << 16) + 80_000}
        assert (tmp_path / "data").stat().st_size == (1 << 16) + 80_000 + 7 * 8

    def test_has_another_name_from_another_folder(self, tmp_path: Path) -> None:
        data = write_data_file(tmp_path / "data", TENSORS)
        proto = data.at("folder/data").store(TENSORS["other"], "other")
        entries = {entry.key: entry.value for entry in proto.external_data}
        assert entries == {"location": "folder/data", "offset": str((1 << 16) + 80_000), "length": "56"}
