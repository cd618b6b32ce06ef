"""export --vocabulary-size: token ids that share vectors, as model2vec's vocabulary quantization has them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from model2vec import StaticModel, quantize_model

import texts
import tiny_models
from command_line import RunPortvec
from comparison import assert_same
from corpus import paragraphs
from portvec import Model2VecEmbeddingFunction, StaticEmbedder
from portvec.errors import MissingExtraError, OptionError, SourceError
from portvec_export import export_model
from portvec_export._source.vectors import vectors_of, with_vectors
from portvec_export._table.registry import codec_for
from project import BUNDLED

pytest.importorskip("sklearn")

TEXTS = [*paragraphs(300), *texts.scripts(), *texts.ADVERSARIAL]


def reference(source: Path, size: int, dim: int | None = None) -> StaticModel:
    model = StaticModel.from_pretrained(
        source, vocabulary_quantization=size, dimensionality=dim, quantize_to="float32", force_download=False
    )
    assert model.weights is not None
    model.weights = model.weights.astype(np.float32)  # as artifacts store them
    return model


@pytest.mark.parametrize("dim", [None, 10])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "int4"])
def test_vectors_are_model2vecs_for_the_same_clusters(
    dtype: str, dim: int | None, tiny_model: Path, tmp_path: Path
) -> None:
    artifact = export_model(tiny_model, tmp_path / "artifact", vocabulary_size=50, dim=dim, dtype=dtype)
    model = reference(tiny_model, 50, dim)
    vectors = vectors_of(model)
    table = codec_for(dtype).encode(vectors, model.max_length)
    stored = with_vectors(model, replace(vectors, rows=table.dequantized))
    embedder = StaticEmbedder.load(artifact)
    assert_same(embedder, stored, TEXTS)
    assert embedder.manifest.vocabulary_quantization == 50
    assert embedder.manifest.vocabulary_size == 800


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("stored", ["float16", "float64", "int8"])
def test_tables_are_clustered_in_the_type_that_they_are_stored_in(
    stored: str, kind: tiny_models.Kind, tmp_path: Path
) -> None:
    built = tiny_models.model(kind)
    table = (built.embedding * 20 if stored == "int8" else built.embedding).astype(stored)
    source = tiny_models.save(tmp_path / "model", kind, vectors=table)
    embedder = StaticEmbedder.load(export_model(source, tmp_path / "artifact", vocabulary_size=64))
    assert_same(embedder, reference(source, 64), TEXTS)


def test_half_precision_that_cannot_hold_every_norm_is_upcast(tmp_path: Path) -> None:
    table = tiny_models.vectors(800, dtype="float16")
    table[3] = 0
    table[4] = 30_000  # its square is beyond float16
    source = tiny_models.save(tmp_path / "model", vectors=table)
    embedder = StaticEmbedder.load(export_model(source, tmp_path / "artifact", vocabulary_size=50))
    model = StaticModel.from_pretrained(source, quantize_to="float32")
    assert_same(embedder, quantize_model(model, vocabulary_quantization=50), TEXTS)


@pytest.mark.slow
def test_bundled_model(tmp_path: Path) -> None:
    embedder = StaticEmbedder.load(export_model(BUNDLED, tmp_path / "artifact", vocabulary_size=4))
    assert_same(embedder, reference(BUNDLED, 4), TEXTS)


@pytest.mark.slow
def test_fewer_vectors_take_less_space_and_record_their_cost(tiny_model: Path, tmp_path: Path) -> None:
    whole = export_model(tiny_model, tmp_path / "whole")
    cosines = []
    for size in (20, 400):
        shared = export_model(tiny_model, tmp_path / f"{size}", vocabulary_size=size)
        quality = StaticEmbedder.load(shared).manifest.quality
        assert quality is not None
        cosines.append(quality.paragraphs.mean)
        # A row and, for each id, the number of its row and its weight.
        data = (shared / "onnx" / "model.onnx_data").stat().st_size
        assert data <= (size + 1) * 24 * 4 + 801 * (8 + 4) + 2 * 64
        exact, rough = (StaticEmbedder.load(folder).encode(paragraphs(50)) for folder in (whole, shared))
        assert 0.1 < (exact * rough).sum(axis=1).mean() < 1
    assert cosines[0] < cosines[1] < 1


class TestErrors:
    @pytest.mark.parametrize("size", [800, 5000])
    def test_no_fewer_than_there_are(self, size: int, tiny_model: Path, tmp_path: Path) -> None:
        with pytest.raises(
            OptionError,
            match=rf"model: vocabulary_size={size} was asked for, but the model has 800 vectors; choose a",
        ):
            export_model(tiny_model, tmp_path / "artifact", vocabulary_size=size)
        assert not (tmp_path / "artifact").exists()

    def test_shared_already(self, tmp_path: Path) -> None:
        source = tiny_models.save(
            tmp_path / "model", vectors=tiny_models.vectors(50), token_mapping=np.arange(800) % 50
        )
        with pytest.raises(
            OptionError,
            match="model: its 800 token ids share 50 vectors already; leave out vocabulary",
        ):
            export_model(source, tmp_path / "artifact", vocabulary_size=20)

    def test_scikit_learn_not_installed(
        self, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "sklearn", None)
        with pytest.raises(
            MissingExtraError,
            match=r"^vocabulary_size=\.\.\. needs scikit-learn; run pip install '.*\[vocabulary\]'$",
        ):
            export_model(tiny_model, tmp_path / "artifact", vocabulary_size=20)

    def test_artifact_with_another_number(self, tiny_model: Path, tmp_path: Path) -> None:
        artifact = export_model(tiny_model, tmp_path / "artifact", vocabulary_size=20)
        assert StaticEmbedder.load(artifact, vocabulary_size=20).dim == 24
        with pytest.raises(
            SourceError,
            match="an artifact exported with vocabulary_size 20, but 30 was asked for; export the",
        ):
            StaticEmbedder.load(artifact, vocabulary_size=30)


def test_conversions_take_it_too(tiny_model: Path) -> None:
    some = paragraphs(20)
    embedder = StaticEmbedder.load(tiny_model, vocabulary_size=50)
    assert embedder.manifest.vocabulary_quantization == 50
    assert StaticEmbedder.load(tiny_model).manifest.vocabulary_quantization is None
    function = Model2VecEmbeddingFunction(str(tiny_model), vocabulary_quantization=50)
    np.testing.assert_array_equal(function.encode_documents(some), embedder.encode(some))


@pytest.mark.slow
def test_command_line(portvec: RunPortvec, tiny_model: Path) -> None:
    result = portvec("export", tiny_model, "-o", "a", "--vocabulary-size", 50, "--dim", 12)
    assert result.returncode == 0
    assert result.stderr.startswith("a: 50 x 12 float32 for 800 token ids, ")
    assert "cosine to float32 0." in result.stderr
    assert "table          float32, 800 token ids sharing 50 vectors" in portvec("info", "a").stdout
    refused = portvec("export", tiny_model, "-o", "b", "--vocabulary-size", 0)
    assert refused.returncode == 2
    assert "Invalid value for '--vocabulary-size': 0 is not in the range x>=1" in refused.stderr
