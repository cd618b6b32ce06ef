"""What export_model reads, writes, refuses, and leaves behind."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from model2vec import StaticModel

import tiny_models
from command_line import RunPortvec
from corpus import paragraphs
from folders import contents, names
from portvec import StaticEmbedder, verify
from portvec._artifact.dtypes import DTYPES, Dtype
from portvec.errors import ArtifactError, ExportError, OptionError, SourceError
from portvec_export import export_model


def test_writes_the_files_of_the_format_and_nothing_else(tiny_model: Path, tmp_path: Path) -> None:
    folder = export_model(tiny_model, tmp_path / "out" / "deep")
    assert folder == tmp_path / "out" / "deep"
    assert sorted(contents(folder)) == [
        "1_Pooling/config.json",
        "README.md",
        "config.json",
        "conformance.json",
        "modules.json",
        "onnx/model.onnx",
        "onnx/model.onnx_data",
        "portvec.graph",
        "portvec.json",
        "portvec.single.graph",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert names(folder.parent) == ["deep"]
    assert verify(folder).texts == 64


def test_exporting_twice_gives_the_same_bytes(tiny_model: Path, tmp_path: Path) -> None:
    first = contents(export_model(tiny_model, tmp_path / "first"))
    assert contents(export_model(tiny_model, tmp_path / "second")) == first


def test_manifest_records_model_and_origin(tiny_model: Path, tmp_path: Path) -> None:
    folder = export_model(tiny_model, tmp_path / "artifact", max_length=100)
    manifest = StaticEmbedder.load(folder).manifest
    model = StaticModel.from_pretrained(tiny_model)
    assert manifest.source.id == "tiny-model"
    assert sorted(manifest.source.sha256) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert manifest.reference == "model2vec 0.10.0"
    assert (manifest.dim, manifest.dtype, manifest.normalize) == (24, "float32", True)
    assert manifest.vocabulary_size == len(model.tokens)
    assert (manifest.max_length, manifest.max_characters) == (100, 100 * model.median_token_length)
    assert manifest.unk_id == model.unk_token_id == 1


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


@pytest.mark.parametrize("mapped", [True, False], ids=["mapping", "weights-only"])
def test_vocabulary_quantized_models(mapped: bool, tmp_path: Path) -> None:
    size = tiny_models.tokenizer("wordpiece").get_vocab_size()
    rng = np.random.default_rng(0)
    source = tiny_models.save(
        tmp_path / "model",
        vectors=tiny_models.vectors(50 if mapped else size),
        token_mapping=rng.integers(0, 50, size) if mapped else None,
        weights=rng.random(size).astype(np.float32),
    )
    for dtype in ("float32", "float16"):
        folder = export_model(source, tmp_path / dtype, dtype=dtype)
        model = StaticModel.from_pretrained(source, quantize_to="float32")
        if dtype == "float32" or mapped:
            np.testing.assert_allclose(
                StaticEmbedder.load(folder).encode(paragraphs(100)),
                model.encode(paragraphs(100)),
                rtol=0,
                atol=1e-6,
            )
        if mapped:  # the table stays as small as it was
            assert (folder / "onnx" / "model.onnx_data").stat().st_size < 51 * 24 * 4 + size * 12 + 200


@pytest.mark.parametrize(
    ("dtype", "tables"), [("float32", 1.6), ("float16", 1.2), ("int8", 0.9), ("int4", 0.9)]
)
def test_memory_is_a_small_multiple_of_the_table(dtype: str, tables: float, tmp_path: Path) -> None:
    rows, dim = 200_000, 64
    source = tiny_models.save(
        tmp_path / "model",
        vectors=np.random.default_rng(0).standard_normal((rows, dim), dtype=np.float32).astype(np.float16),
        token_mapping=np.arange(800) * (rows // 800),
    )
    tracemalloc.start()  # numpy reports what it allocates
    try:
        export_model(source, tmp_path / "artifact", dtype=dtype)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < tables * rows * dim * 4 + 12e6


def test_dim_normalize_and_max_length_override_the_model(tiny_model: Path, tmp_path: Path) -> None:
    folder = export_model(tiny_model, tmp_path / "artifact", dim=10, normalize=False, max_length=None)
    model = StaticModel.from_pretrained(tiny_model, dimensionality=10, normalize=False, max_length=None)
    texts = [*paragraphs(50), "word " * 2000]
    got = StaticEmbedder.load(folder).encode(texts)
    assert got.shape == (51, 10)
    np.testing.assert_allclose(got, model.encode(texts), rtol=0, atol=1e-6)
    assert np.abs(np.linalg.norm(got, axis=1) - 1).max() > 0.1


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


def test_more_dimensions_than_there_are(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="dim=25 was asked for, but the model has 24 dimensions; ch"):
        export_model(tiny_model, tmp_path / "artifact", dim=25)


class TestTarget:
    def test_in_the_home_folder(
        self, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, portvec: RunPortvec
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        folder = export_model(tiny_model, "~/a")
        assert folder == tmp_path / "home" / "a"
        assert verify(folder).texts == 64
        result = portvec("export", tiny_model, "--output=~/b", HOME=str(tmp_path / "home"))
        assert (result.returncode, result.stderr[: result.stderr.index(":")]) == (0, f"{tmp_path}/home/b")

    def test_must_be_empty(self, tiny_model: Path, tmp_path: Path) -> None:
        (tmp_path / "artifact").mkdir()
        export_model(tiny_model, tmp_path / "artifact")  # an empty folder is as good as none
        with pytest.raises(ExportError, match=r"artifact: exists and is not empty; .* pass overwrite=True"):
            export_model(tiny_model, tmp_path / "artifact")

    def test_overwrite_replaces_an_artifact_whole(self, tiny_model: Path, tiny: Path) -> None:
        (tiny / "extra.txt").write_text("gone afterwards")
        export_model(tiny_model, tiny, dim=5, overwrite=True)
        assert StaticEmbedder.load(tiny).dim == 5
        assert not (tiny / "extra.txt").exists()

    def test_overwrite_deletes_nothing_but_artifacts(self, tiny_model: Path, tmp_path: Path) -> None:
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis" / "chapter1.tex").write_text("precious")
        with pytest.raises(ExportError, match=r"holds files but no portvec\.json, so it is not"):
            export_model(tiny_model, tmp_path / "thesis", overwrite=True)
        assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "precious"

    def test_file(self, tiny_model: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(ExportError, match="file: is a file, expected a folder to create"):
            export_model(tiny_model, tmp_path / "file")

    def test_stays_as_it_was_if_the_check_fails(
        self, tiny_model: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(DTYPES, "lying", Dtype(codec="faulty_codecs:LyingCodec", summed_bytes=4))
        before = contents(tiny)
        message = (
            rf"^{re.escape(str(tiny))}: the embedding of recorded text \d+ differs by .*; check the onnx"
        )
        with pytest.raises(ArtifactError, match=message):
            export_model(tiny_model, tiny, dtype="lying", overwrite=True)
        assert contents(tiny) == before
        assert [path.name for path in tiny.parent.iterdir() if path.name.startswith(".")] == []

    def test_is_left_out_if_the_check_fails(
        self, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(DTYPES, "lying", Dtype(codec="faulty_codecs:LyingCodec", summed_bytes=4))
        with pytest.raises(ArtifactError, match=f"^{re.escape(str(tmp_path / 'out' / 'a'))}: the embedding"):
            export_model(tiny_model, tmp_path / "out" / "a", dtype="lying")
        assert names(tmp_path / "out") == []

    def test_disk_full(self, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(DTYPES, "full", Dtype(codec="faulty_codecs:FullDiskCodec", summed_bytes=4))
        target = tmp_path / "out" / "artifact"
        with pytest.raises(ExportError, match=r"artifact: cannot be written \(No space left on device"):
            export_model(tiny_model, target, dtype="full")
        assert names(target.parent) == []
