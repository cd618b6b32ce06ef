"""int8 and int4: small, exact with respect to what they store, and honest about what they cost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from model2vec import StaticModel
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

import texts
import tiny_models
from command_line import RunPortvec
from comparison import compare
from consumer_inputs import consumer_inputs
from corpus import paragraphs
from matrix import CASES, Case
from portvec import StaticEmbedder
from portvec._inference.onnxruntime import onnxruntime as ort
from portvec_export import export_model
from portvec_export._source.vectors import vectors_of, with_vectors
from portvec_export._table.registry import codec_for
from project import BUNDLED

SOME = [case for case in CASES if "sentence-transformers" not in case.name and case.name != "subfolder"]
TEXTS = [*paragraphs(300), *texts.scripts(), *texts.ADVERSARIAL]


def decoded_reference(case: Case, source: Path, dtype: str) -> StaticModel:
    """Return model2vec on the values that the artifact's table stands for."""
    model = case.load_model(source)
    vectors = vectors_of(model)
    table = codec_for(dtype).encode(vectors, model.max_length)
    return with_vectors(model, replace(vectors, rows=table.dequantized))


@pytest.mark.parametrize("dtype", ["int8", "int4"])
@pytest.mark.parametrize("case", SOME, ids=lambda case: case.name)
def test_vectors_are_model2vecs_on_the_stored_values(case: Case, dtype: str, tmp_path: Path) -> None:
    source = case.build(tmp_path / "model")
    artifact = export_model(source, tmp_path / "artifact", **{**case.export, "dtype": dtype})
    found = compare(StaticEmbedder.load(artifact), decoded_reference(case, source, dtype), TEXTS)
    assert not found.id_mismatches
    assert found.worst <= 1e-6


@pytest.mark.parametrize(
    ("dtype", "cosine", "size"), [("int8", 0.9999, 0.26), ("int4", 0.99, 0.15)], ids=["int8", "int4"]
)
@pytest.mark.slow
def test_quality_and_size_on_the_bundled_model(
    dtype: str, cosine: float, size: float, bundled: Path, tmp_path: Path
) -> None:
    artifact = export_model(BUNDLED, tmp_path / "artifact", dtype=dtype)
    sample = paragraphs(10_000)
    exact, small = (StaticEmbedder.load(folder).encode(sample) for folder in (bundled, artifact))
    directed = np.abs(exact).any(axis=1)
    assert (exact * small).sum(axis=1)[directed].min() >= cosine
    sizes = [(folder / "onnx" / "model.onnx_data").stat().st_size for folder in (artifact, bundled)]
    assert sizes[0] <= size * sizes[1]
    quality = StaticEmbedder.load(artifact).manifest.quality
    assert quality is not None
    assert cosine <= quality.paragraphs.min <= quality.paragraphs.mean < 1
    assert quality.paragraphs.texts > 1000
    assert quality.conformance.texts > 50


def test_types_that_lose_nothing_record_no_cost(tiny_model: Path, tmp_path: Path) -> None:
    for dtype in ("float32", "float16"):  # the values of this model are exact in float16
        artifact = export_model(tiny_model, tmp_path / dtype, dtype=dtype)
        assert json.loads((artifact / "portvec.json").read_text())["quality"] is None


@pytest.mark.parametrize("dtype", ["int8", "int4"])
@pytest.mark.parametrize("scale", [1e-12, 1e-5, 1e5, 1e12])
def test_tables_of_any_magnitude(dtype: str, scale: float, tmp_path: Path) -> None:
    table = tiny_models.vectors(800) * np.float32(scale)
    table[5] = 0
    source = tiny_models.save(tmp_path / "model", vectors=table, normalize=False)
    artifact = export_model(source, tmp_path / "artifact", dtype=dtype)
    exact = StaticModel.from_pretrained(source).encode(paragraphs(50))
    got = StaticEmbedder.load(artifact).encode(paragraphs(50))
    error = np.linalg.norm(got - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert error.max() < (0.02 if dtype == "int8" else 0.25)


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_rows_of_very_different_magnitude(dtype: str, tmp_path: Path) -> None:
    table = tiny_models.vectors(800) * np.logspace(-3, 3, 800, dtype=np.float32)[:, None]
    source = tiny_models.save(tmp_path / "model", vectors=table)
    artifact = export_model(source, tmp_path / "artifact", dtype=dtype)
    exact = StaticModel.from_pretrained(source).encode(paragraphs(300))
    cosines = (StaticEmbedder.load(artifact).encode(paragraphs(300)) * exact).sum(axis=1)
    cosines = cosines[np.abs(exact).any(axis=1)]
    assert cosines.min() > (0.999 if dtype == "int8" else 0.97)


def test_long_texts_cannot_overflow_int8_sums(tmp_path: Path) -> None:
    source = tiny_models.save(tmp_path / "model", max_length=None)
    embedder = StaticEmbedder.load(export_model(source, tmp_path / "artifact", dtype="int8"))
    once, often = embedder.encode(["the", "the " * 200_000])
    np.testing.assert_allclose(often, once, rtol=0, atol=1e-3)


class DequantizeLinear(OpRun):  # onnx's own starts at opset 19
    op_domain = ""

    def _run(self, x: Any, scale: Any, zero_point: Any, **_attributes: Any) -> Any:
        return ((x.astype(np.int32) - zero_point).astype(np.float32) * scale,)


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_graph_keeps_its_contract(dtype: str, tmp_path: Path) -> None:
    source = tiny_models.save(tmp_path / "model", vectors=tiny_models.vectors(800, dim=40))
    folder = export_model(source, tmp_path / "artifact", dtype=dtype)
    path = str(folder / "onnx" / "model.onnx")
    model = onnx.load(path, load_external_data=False)
    assert {node.domain for node in model.graph.node} == {""}
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 14)]
    inputs = consumer_inputs(folder, ["the value of a", "", "[UNK]", "a longer text about the return value"])
    hidden, embedding = ort.InferenceSession(path).run(None, inputs)
    np.testing.assert_allclose(hidden.mean(axis=1), embedding, rtol=0, atol=1e-6)
    if tuple(map(int, onnx.__version__.split(".")[:2])) >= (1, 23):
        evaluated: Any = ReferenceEvaluator(path, new_ops=[DequantizeLinear]).run(
            ["sentence_embedding"], inputs
        )
        np.testing.assert_allclose(evaluated[0], embedding, rtol=0, atol=1e-6)
    empty = np.zeros((2, 0), dtype=np.int64)
    nothing = ort.InferenceSession(path).run(None, {"input_ids": empty, "attention_mask": empty})
    assert not nothing[1].any()


def test_export_prints_the_cost(portvec: RunPortvec, tiny_model: Path) -> None:
    result = portvec("export", tiny_model, "-o", "a", "--dtype", "int8")
    assert result.returncode == 0
    assert "a: 800 x 24 int8, " in result.stderr
    assert "cosine to float32 0.99" in result.stderr
    assert "quality        cosine to float32 0.99" in portvec("info", "a").stdout
