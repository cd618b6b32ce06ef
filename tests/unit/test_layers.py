"""Layers after the mean: their arithmetic, their nodes in a graph, and the module of SSE."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import save_file

from portvec._artifact.layers import check_layers
from portvec._inference.onnxruntime import onnxruntime as ort
from portvec.errors import SourceError
from portvec_export._graph.layers import add_layers
from portvec_export._onnx.builder import Graph
from portvec_export._source.layers import Dense, DynamicTanh, Layer, UnitLength, apply_layers, width_after
from portvec_export._source.module_layers import read_layers
from portvec_export._source.modules import Module

Array = npt.NDArray[np.float32]
WIDTH = 12


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


ROWS = np.concatenate([numbers(40, WIDTH), np.zeros((1, WIDTH), np.float32), 50 * numbers(40, WIDTH, seed=1)])


def dense(activation: str, *, outputs: int = 7, bias: bool = True, residual: bool = False) -> Dense:
    return Dense(
        numbers(outputs, WIDTH),
        numbers(outputs) if bias else None,
        activation,
        numbers(outputs, WIDTH, seed=2) if residual else None,
    )


# What each activation does to one number, in Python's arithmetic.
SCALAR: dict[str, Any] = {
    "identity": lambda x: x,
    "relu": lambda x: max(x, 0.0),
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)) if x > -700 else 0.0,
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
}
LAYERS: dict[str, Sequence[Layer]] = {
    **{name: [dense(name)] for name in SCALAR},
    "without a bias": [dense("tanh", bias=False)],
    "residual": [dense("gelu", residual=True)],
    "residual without a bias": [dense("identity", bias=False, residual=True)],
    "unit length": [UnitLength(1e-12)],
    "dynamic tanh": [DynamicTanh(numbers(WIDTH), numbers(WIDTH, seed=3), numbers(WIDTH, seed=4))],
    "several": [dense("relu", outputs=WIDTH), UnitLength(1e-12), dense("tanh"), UnitLength(1e-12)],
    "none": [],
}


def run_graph(layers: Sequence[Layer], rows: Array) -> Array:
    graph = Graph()
    means = graph.identity(graph.input("means", np.float32, ["n", WIDTH]))
    outputs = width_after(layers, WIDTH)
    graph.output("result", graph.identity(add_layers(graph, layers, means)), np.float32, ["n", outputs])
    session = ort.InferenceSession(graph.to_model().SerializeToString())
    result: Array = session.run(None, {"means": rows})[0]
    return result


@pytest.mark.parametrize("activation", SCALAR)
@pytest.mark.parametrize("residual", [False, True])
def test_a_dense_layer_is_an_activation_of_a_linear_map(activation: str, residual: bool) -> None:
    layer = dense(activation, residual=residual)
    got = apply_layers([layer], ROWS)
    assert got.dtype == np.float32
    assert layer.bias is not None
    exact = ROWS.astype(np.float64) @ layer.weight.astype(np.float64).T + layer.bias
    expected = np.vectorize(SCALAR[activation], otypes=[np.float64])(exact)
    if layer.residual is not None:
        expected += ROWS.astype(np.float64) @ layer.residual.astype(np.float64).T
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6 * np.abs(exact).max())


def test_unit_length_divides_by_the_norm_or_by_the_least() -> None:
    rows = np.array([[3, 4], [0, 0], [3e-13, 4e-13], [3e18, 4e18]], np.float32)
    expected = np.array([[0.6, 0.8], [0, 0], [0.3, 0.4], [0.6, 0.8]])
    np.testing.assert_allclose(apply_layers([UnitLength(1e-12)], rows), expected, rtol=1e-6)


def test_dynamic_tanh_shifts_before_it_bounds() -> None:
    layer = DynamicTanh(*(np.array(each, np.float32) for each in ([0.5, 2], [3, -1], [0.25, 0])))
    expected = np.array([[3 * math.tanh(0.75), -math.tanh(4)], [3 * math.tanh(0.25), 0]])
    got = apply_layers([layer], np.array([[1, 2], [0, 0]], np.float32))
    np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_a_graph_computes_the_same(name: str) -> None:
    layers = LAYERS[name]
    expected = apply_layers(layers, ROWS)
    got = run_graph(layers, ROWS)
    assert got.shape == expected.shape == (len(ROWS), width_after(layers, WIDTH))
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6 * np.linalg.norm(expected, axis=1).mean())
    np.testing.assert_allclose(run_graph(layers, ROWS[40:41]), expected[40:41], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_the_manifest_describes_what_it_may_hold(name: str) -> None:
    layers = LAYERS[name]
    facts = [layer.facts() for layer in layers]
    check_layers(facts, WIDTH, width_after(layers, WIDTH), "here")


def save_sse(folder: Path, **tensors: npt.NDArray[Any] | None) -> Path:
    stored: dict[str, Any] = {
        "embedding.weight": numbers(30, WIDTH),
        "dyt.alpha": numbers(WIDTH, seed=5),
        "dyt.beta": numbers(WIDTH, seed=6),
        "dyt.bias": numbers(WIDTH, seed=7),
    }
    stored.update({name.replace("_", "."): tensor for name, tensor in tensors.items()})
    save_file({name: each for name, each in stored.items() if each is not None}, folder / "model.safetensors")
    return folder


def read_sse(folder: Path) -> tuple[Layer, ...]:
    return read_layers(folder, [Module("0", "sse.SSE", "")], WIDTH)


class TestSSE:
    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_its_layer(self, dtype: str, tmp_path: Path) -> None:
        alpha, beta, bias = (numbers(WIDTH, seed=seed).astype(dtype) for seed in (5, 6, 7))
        layers = read_sse(save_sse(tmp_path, dyt_alpha=alpha, dyt_beta=beta, dyt_bias=bias))
        got = apply_layers(layers, ROWS)
        assert got.dtype == np.float32
        expected = beta.astype(np.float64) * np.tanh(alpha.astype(np.float64) * ROWS + bias)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6 * np.linalg.norm(expected, axis=1).mean())
        assert np.abs(got[40]).min() > 0  # the mean of no tokens is zero, and what it becomes is not

    @pytest.mark.parametrize(
        ("tensors", "message"),
        [
            (
                {"dyt_alpha": numbers(1)},
                r"has dyt\.alpha \(1,\), dyt\.beta \(12,\), dyt\.bias \(12,\), expected dyt\.alpha \(12,\), "
                r"dyt\.beta \(12,\), dyt\.bias \(12,\); portvec knows no other form of this module, so fetch "
                r"the model again, or use it in sentence-transformers$",
            ),
            (
                {"dyt_bias": np.ones(WIDTH, np.int32)},
                r"the tensor 'dyt\.bias' is int32, expected floating-point numbers; repair the model$",
            ),
            (
                {"dyt_beta": None},
                r"has dyt\.alpha \(12,\), dyt\.bias \(12,\), expected dyt\.alpha \(12,\), dyt",
            ),
            ({"dyt_gamma": numbers(WIDTH)}, r"has .*, dyt\.gamma \(12,\), expected dyt\.alpha \(12,\), dyt"),
            (
                {"dyt_beta": np.full(WIDTH, np.nan, np.float32)},
                r"the tensor 'dyt\.beta' has NaN, infinity or a number beyond float32; repair the model$",
            ),
            ({"dyt_alpha": np.full(WIDTH, 1e300)}, r"the tensor 'dyt\.alpha' has NaN, infinity or a number"),
        ],
    )
    def test_others_are_refused(self, tensors: dict[str, Any], message: str, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=rf"model\.safetensors: {message}"):
            read_sse(save_sse(tmp_path, **tensors))

    def test_files_that_are_none(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"model\.safetensors: missing, and portvec does not read"):
            read_sse(tmp_path)
        (tmp_path / "model.safetensors").write_bytes(b"junk")
        with pytest.raises(SourceError, match=r"model\.safetensors: not a complete safetensors file \("):
            read_sse(tmp_path)
