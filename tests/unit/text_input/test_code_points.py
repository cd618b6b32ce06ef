"""Code points of strings, and characters of code points."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest

from portvec._inference.onnxruntime import onnxruntime as ort
from portvec_export._onnx.builder import Graph
from portvec_export._text_input.arrays.flat import END, OPSET
from portvec_export._text_input.code_points import add_code_points, flatten
from random_texts import random_texts
from text_graphs import EVERY_CODE, to_matrix
from texts import ADVERSARIAL


@cache
def sessions() -> list[Any]:
    graph = Graph(OPSET)
    text = graph.input("text", np.object_, ["batch_size"])
    codes = add_code_points(graph, text)
    graph.output("codes", codes, np.int32, ["batch_size", "length"])
    model = graph.to_model().SerializeToString()
    found = []
    for level in (ort.GraphOptimizationLevel.ORT_ENABLE_ALL, ort.GraphOptimizationLevel.ORT_DISABLE_ALL):
        options = ort.SessionOptions()
        options.graph_optimization_level = level
        found.append(ort.InferenceSession(model, options))
    return found


def code_points(texts: list[str]) -> Any:
    first, second = (session.run(None, {"text": np.array(texts, dtype=object)})[0] for session in sessions())
    np.testing.assert_array_equal(first, second)
    return first


def test_every_code_point() -> None:
    every = "".join(map(chr, EVERY_CODE))
    texts = [every[start : start + 999] for start in range(0, len(every), 999)]
    np.testing.assert_array_equal(code_points(texts), to_matrix(texts))


@pytest.mark.parametrize("texts", [[""], ["", ""], ["", "a"], ["\0"], ["\0", "", "a\0\0b\0"], ["\U0010ffff"]])
def test_short_texts(texts: list[str]) -> None:
    np.testing.assert_array_equal(code_points(texts), to_matrix(texts))


def test_texts_with_others() -> None:
    texts = [*ADVERSARIAL, *random_texts(Random(1), [], 500), "padding", "\ufeffpadding"]
    np.testing.assert_array_equal(code_points(texts), to_matrix(texts))
    np.testing.assert_array_equal(code_points(texts[::-1]), to_matrix(texts[::-1]))


def flattened(matrix: Any, max_characters: int | None) -> tuple[list[int], list[int]]:
    graph = Graph(OPSET)
    value = graph.input("codepoints", np.int32, ["batch_size", "length"])
    characters = flatten(graph, value, max_characters)
    graph.output("codes", characters.codes, np.int32, ["characters"])
    graph.output("texts", characters.texts, np.int64, ["characters"])
    codes, texts = ort.InferenceSession(graph.to_model().SerializeToString()).run(
        None, {"codepoints": matrix}
    )
    return codes.tolist(), texts.tolist()


@pytest.mark.parametrize("limit", [None, 0, 1, 2, 3, 99])
def test_characters_of_a_matrix(limit: int | None) -> None:
    texts = ["abc", "", "\U0001f600\0", "", "d"]
    cut = [text[:limit] for text in texts]
    codes, rows = flattened(to_matrix(texts), limit)
    assert codes == [*map(ord, "".join(cut)), END]
    assert rows == [*(row for row, text in enumerate(cut) for _ in text), len(texts)]


@pytest.mark.parametrize("shape", [(1, 0), (3, 0), (2, 4)])
def test_a_matrix_without_characters(shape: tuple[int, int]) -> None:
    assert flattened(np.full(shape, -1, np.int32), None) == ([END], [shape[0]])
