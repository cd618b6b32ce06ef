"""What an export writes: the files of the format, the same bytes each time, in little memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from model2vec import StaticModel

import tiny_models
from folders import contents, names
from portvec import StaticEmbedder, verify
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
        "portvec.vocabulary",
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
