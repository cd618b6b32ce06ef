"""What an export reads: layouts, tables of every type, and what it says of anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from model2vec import StaticModel

import tiny_models
from corpus import paragraphs
from folders import contents
from portvec import StaticEmbedder
from portvec.errors import SourceError
from portvec_export import export_model


@pytest.mark.parametrize("nested", [False, True])
def test_reads_the_layouts_of_sentence_transformers(nested: bool, tmp_path: Path) -> None:
    source = tiny_models.save_sentence_transformers(tmp_path / "source", nested=nested)
    embedder = StaticEmbedder.load(export_model(source, tmp_path / "artifact"))
    expected = StaticModel.from_pretrained(source).encode(paragraphs(50))
    np.testing.assert_allclose(embedder.encode(paragraphs(50)), expected, rtol=2e-6, atol=1e-6)


def test_reads_a_subfolder_and_a_path_with_spaces_and_umlauts(tmp_path: Path) -> None:
    tiny_models.save(tmp_path / "mein größtes modell" / "inner")
    folder = export_model(tmp_path / "mein größtes modell", tmp_path / "ein artefakt ✓", subfolder="inner")
    assert StaticEmbedder.load(folder).manifest.source.subfolder == "inner"


def test_reads_a_read_only_folder(tiny_model: Path, tmp_path: Path) -> None:
    before = contents(tiny_model)
    for path in [*tiny_model.iterdir(), tiny_model]:
        path.chmod(path.stat().st_mode & 0o555)
    try:
        export_model(tiny_model, tmp_path / "artifact")
    finally:
        tiny_model.chmod(0o755)
    assert contents(tiny_model) == before


@pytest.mark.parametrize("source_dtype", ["float16", "float32", "float64", "int8"])
def test_source_tables_of_every_type(source_dtype: str, tmp_path: Path) -> None:
    built = tiny_models.model()
    table = built.embedding * 20 if source_dtype == "int8" else built.embedding
    source = tiny_models.save(tmp_path / "source", vectors=table.astype(source_dtype))
    embedder = StaticEmbedder.load(export_model(source, tmp_path / "artifact"))
    model = StaticModel.from_pretrained(source, quantize_to="float32")
    np.testing.assert_allclose(
        embedder.encode(paragraphs(50)), model.encode(paragraphs(50)), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("mapped", [True, False], ids=["mapping", "weights-only"])
def test_vocabulary_quantized_models(mapped: bool, dtype: str, tmp_path: Path) -> None:
    size = tiny_models.tokenizer("wordpiece").get_vocab_size()
    rng = np.random.default_rng(0)
    source = tiny_models.save(
        tmp_path / "model",
        vectors=tiny_models.vectors(50 if mapped else size),
        token_mapping=rng.integers(0, 50, size) if mapped else None,
        weights=rng.random(size).astype(np.float32),
    )
    folder = export_model(source, tmp_path / "artifact", dtype=dtype)
    expected = StaticModel.from_pretrained(source, quantize_to="float32").encode(paragraphs(100))
    # Without a mapping, the table holds the rows times their weights, which float16 rounds.
    tolerance = 1e-6 if mapped or dtype == "float32" else 5e-4
    got = StaticEmbedder.load(folder).encode(paragraphs(100))
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)
    if mapped:  # the table stays as small as it was
        assert (folder / "onnx" / "model.onnx_data").stat().st_size < 51 * 24 * 4 + size * 12 + 200


class TestSourceErrors:
    def test_missing_path_is_never_looked_up_on_the_hub(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "models").mkdir()
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        for source in ("./nowhere", "nowhere", str(tmp_path / "nowhere"), "a/b/c", "~/nowhere", Path("a/b")):
            with pytest.raises(
                SourceError, match="no such folder; expected an existing model folder or a Hub"
            ):
                export_model(source, tmp_path / "artifact")
        with pytest.raises(
            SourceError,
            match=r"models/potion: no such folder, though models exists here; .* write models/potion@main",
        ):
            export_model("models/potion", tmp_path / "artifact")

    def test_file_instead_of_folder(self, tiny_model: Path, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"model\.safetensors: is a file, expected a model folder"):
            export_model(tiny_model / "model.safetensors", tmp_path / "artifact")

    def test_folder_that_is_no_model(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(
            SourceError, match=r"empty: not a Model2Vec model, which has model\.safetensors, config"
        ):
            export_model(tmp_path / "empty", tmp_path / "artifact")

    def test_artifact_instead_of_model(self, tiny: Path, tmp_path: Path) -> None:
        with pytest.raises(
            SourceError, match="is already a portvec artifact; export the Model2Vec model it was"
        ):
            export_model(tiny, tmp_path / "artifact")
