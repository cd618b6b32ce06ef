"""Artifacts with every kind of layer: their embeddings are the layers of model2vec's means."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from model2vec import StaticModel

import layered
from consumer_inputs import consumer_inputs
from corpus import paragraphs
from portvec import StaticEmbedder, verify
from portvec._inference.onnxruntime import onnxruntime as ort
from portvec_export._source.layers import apply_layers

TEXTS = [*paragraphs(300), "", "[UNK]", "the value " * 900]


@pytest.mark.parametrize("kind", layered.LAYERS)
def test_embeddings_are_layers_of_means(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = layered.LAYERS[kind]
    folder = layered.export(tmp_path, layers, monkeypatch)
    means = StaticModel.from_pretrained(tmp_path / "model").encode(TEXTS)
    expected = apply_layers(layers, means)
    embedder = StaticEmbedder.load(folder, threads=2)
    scale = np.linalg.norm(expected, axis=1).mean()
    for got in (embedder.encode(TEXTS), np.stack([embedder.encode(text) for text in TEXTS])):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6 * scale)
    few = [*range(5), len(TEXTS) - 3]
    session = ort.InferenceSession(str(folder / "onnx" / "model.onnx"))
    (got,) = session.run(["sentence_embedding"], consumer_inputs(folder, [TEXTS[index] for index in few]))
    np.testing.assert_allclose(got, expected[few], rtol=0, atol=1e-6 * scale)
    assert verify(folder).texts == 64


@pytest.mark.parametrize("hidden", [[8192], [500] * 16])
def test_many_values_are_in_proportion(
    hidden: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound for the work of a graph leaves room for wide layers and for many."""
    widths = [layered.DIM, *hidden, 16]
    layers = [layered.dense(outputs, "gelu", inputs) for inputs, outputs in pairwise(widths)]
    folder = layered.export(tmp_path, layers, monkeypatch)
    assert StaticEmbedder.load(folder).encode(TEXTS[:3]).shape == (3, 16)
