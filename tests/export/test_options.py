"""What the options of an export change, and where a model cannot follow them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from model2vec import StaticModel

import tiny_models
from corpus import paragraphs
from portvec import StaticEmbedder
from portvec.errors import ExportError, OptionError
from portvec_export import export_model


def test_dim_normalize_and_max_length_override_the_model(tiny_model: Path, tmp_path: Path) -> None:
    folder = export_model(tiny_model, tmp_path / "artifact", dim=10, normalize=False, max_length=None)
    model = StaticModel.from_pretrained(tiny_model, dimensionality=10, normalize=False, max_length=None)
    texts = [*paragraphs(50), "word " * 2000]
    got = StaticEmbedder.load(folder).encode(texts)
    assert got.shape == (51, 10)
    np.testing.assert_allclose(got, model.encode(texts), rtol=0, atol=1e-6)
    assert np.abs(np.linalg.norm(got, axis=1) - 1).max() > 0.1


def test_more_dimensions_than_there_are(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="dim=25 was asked for, but the model has 24 dimensions; ch"):
        export_model(tiny_model, tmp_path / "artifact", dim=25)


def test_float16_halves_the_table_and_changes_no_float16_model(tiny_model: Path, tmp_path: Path) -> None:
    # The values of this model are all exact in float16.
    wide = export_model(tiny_model, tmp_path / "wide")
    narrow = export_model(tiny_model, tmp_path / "narrow", dtype="float16")
    sizes = [(folder / "onnx" / "model.onnx_data").stat().st_size for folder in (wide, narrow)]
    assert sizes[0] == 2 * sizes[1]
    texts = paragraphs(200)
    np.testing.assert_array_equal(
        StaticEmbedder.load(narrow).encode(texts), StaticEmbedder.load(wide).encode(texts)
    )


def test_float16_refuses_values_that_it_cannot_hold(tmp_path: Path) -> None:
    built = tiny_models.model()
    source = tiny_models.save(tmp_path / "model", vectors=built.embedding * np.float32(1e6))
    with pytest.raises(ExportError, match=r"^the table has values beyond float16 \(up to 6\.55e\+04\)"):
        export_model(source, tmp_path / "artifact", dtype="float16")
    assert not (tmp_path / "artifact").exists()


def test_single_file_has_no_external_data_and_the_same_vectors(tiny_model: Path, tmp_path: Path) -> None:
    single = export_model(tiny_model, tmp_path / "single", single_file=True)
    apart = export_model(tiny_model, tmp_path / "apart")
    assert [path.name for path in (single / "onnx").iterdir()] == ["model.onnx"]
    assert (apart / "onnx" / "model.onnx").stat().st_size < 4096
    assert "use_external_data_format" not in (single / "config.json").read_text()
    texts = paragraphs(20)
    # A single file has no portvec.graph, which normalizes sums instead of means.
    expected = StaticEmbedder.load(apart).encode(texts)
    np.testing.assert_allclose(StaticEmbedder.load(single).encode(texts), expected, rtol=0, atol=2e-7)
