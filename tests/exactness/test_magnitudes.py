"""Tables of every type and magnitude: the vectors of model2vec, or a refusal that says why."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from model2vec import StaticModel
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from portvec import StaticEmbedder, verify
from portvec._inference.verify import relative_differences
from portvec.errors import ExportError, OptionError, SourceError
from portvec_export import export_model
from portvec_export._source.vectors import vectors_of, with_vectors
from portvec_export._table.registry import codec_for
from project import FUZZ

WORDS = ["[UNK]", *"abcdefghijk"]
V = len(WORDS)
DIM = 40  # more than a block of int4
TEXTS = ["", "?", *WORDS, "a b", "a a", "b b b", "a b c d", "k " * 300, "a k " * 200, "c d e " * 40]
TEXTS += [" ".join(WORDS[1 + (n * step) % (V - 1)] for n in range(1, 9)) for step in range(1, 9)]


def save(folder: Path, table: np.ndarray, **options: Any) -> Path:
    """Write a model whose words have the rows of a table."""
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    tensors = {"embeddings": table}
    tensors |= {name: options.pop(name) for name in ("weights", "mapping") if options.get(name) is not None}
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"max_length": 512, **options}))
    return folder


def compare(
    source: Path, folder: Path, dtype: str, export: dict[str, Any], reference: dict[str, Any]
) -> bool:
    """Export a model, and compare its vectors with model2vec's; False if it is refused."""
    try:
        artifact = export_model(source, folder, dtype=dtype, **export)
    except (SourceError, ExportError, OptionError):
        assert not folder.exists()
        return False
    verify(artifact)
    model = StaticModel.from_pretrained(source, quantize_to="float32", force_download=False, **reference)
    if model.weights is not None and model.token_mapping is not None:
        model.weights = model.weights.astype(np.float32)  # as artifacts store them; else rows are multiplied
    exact = model.encode(TEXTS)
    assert np.isfinite(exact).all()
    if dtype != "float32":
        vectors = vectors_of(model)
        rows = codec_for(dtype).encode(vectors, model.max_length).dequantized
        model = with_vectors(model, replace(vectors, rows=rows))
    embedder = StaticEmbedder.load(artifact, threads=1)
    expected = model.encode(TEXTS).astype(np.float32)
    alone = np.stack([embedder.encode(text) for text in TEXTS])
    for got in (embedder.encode(TEXTS), alone):
        assert np.isfinite(got).all()
        assert relative_differences(got, expected).max() <= 1e-6
        assert (got.any(axis=1) == exact.any(axis=1)).all()
    return True


EXPONENTS = st.integers(-45, 38) | st.sampled_from(
    [-45, -39, -38, -37, -20, -19, -10, 0, 18, 19, 20, 36, 37, 38]
)


@settings(max_examples=40 * FUZZ, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    exponent=EXPONENTS,
    row_exponents=st.lists(st.sampled_from([0, 0, 0, 0, -8, -30, -45, -400]), min_size=V, max_size=V),
    stored=st.sampled_from(["float16", "float32", "float32", "float64", "int8"]),
    dtype=st.sampled_from(["float32", "float32", "float16", "int8", "int4"]),
    normalize=st.booleans(),
    mapped=st.booleans(),
    weighted=st.sampled_from([None, "float16", "float32", "float64"]),
    weight_exponents=st.lists(st.sampled_from([0, 0, 0, -8, -32, -45, 20]), min_size=V, max_size=V),
    max_length=st.sampled_from([1, 512, 512, None]),
    dim=st.sampled_from([None, None, 3]),
)
# As vocabulary quantization of a table with zero rows writes it.
@example(0, [0] * V, "float32", "float32", True, True, "float32", [0, -32] * 6, 512, None)
@example(0, [0] * V, "float32", "int8", True, True, "float64", [0, -32] * 6, 512, None)
# The square of a sum is beyond float32, or the square of a vector is.
@example(18, [0] * V, "float32", "float32", True, False, None, [0] * V, 512, None)
@example(19, [0] * V, "float32", "float32", True, False, None, [0] * V, 512, None)
@example(37, [0] * V, "float32", "float32", False, False, None, [0] * V, 512, None)
@example(38, [0] * V, "float32", "int8", False, False, None, [0] * V, 1, None)
# The square of a vector is below float32, or a vector is.
@example(-20, [0] * V, "float32", "float32", True, False, None, [0] * V, 512, None)
@example(-38, [0] * V, "float32", "float32", True, False, None, [0] * V, 512, None)
@example(-38, [0] * V, "float32", "int4", False, False, None, [0] * V, 512, None)
@example(0, [0, -45] * 6, "float64", "float32", False, False, None, [0] * V, 512, None)
@example(0, [0, -400] * 6, "float64", "float32", True, False, None, [0] * V, 512, None)
@example(0, [0, -8] * 6, "float32", "float16", True, False, None, [0] * V, 512, None)
@example(0, [0, -30] * 6, "float32", "float32", True, False, None, [0] * V, 512, None)
@example(10, [0] * V, "float32", "float32", False, False, "float64", [0] * 11 + [-45], 1, None)
def test_generated_models(
    exponent: int,
    row_exponents: list[int],
    stored: str,
    dtype: str,
    normalize: bool,
    mapped: bool,
    weighted: str | None,
    weight_exponents: list[int],
    max_length: int | None,
    dim: int | None,
) -> None:
    rng = np.random.default_rng(3)
    table = rng.standard_normal((V, DIM)) * 10.0**exponent
    with np.errstate(all="ignore"):
        table = table * 10.0 ** np.array(row_exponents, dtype=np.float64)[:, None]
        table = (np.clip(table * 40, -127, 127) if stored == "int8" else table).astype(stored)
        factors = rng.random(V) * 10.0 ** np.array(weight_exponents, dtype=np.float64)
        weights = None if weighted is None else factors.astype(weighted)
    mapping = rng.integers(0, V, V) if mapped else None
    with tempfile.TemporaryDirectory() as folder:
        source = save(
            Path(folder) / "model",
            table,
            weights=weights,
            mapping=mapping,
            normalize=normalize,
            max_length=max_length,
        )
        compare(source, Path(folder) / "artifact", dtype, {"dim": dim}, {"dimensionality": dim})


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "int4"])
@pytest.mark.parametrize("normalize", [True, False])
def test_usual_magnitudes_are_not_refused(normalize: bool, dtype: str, tmp_path: Path) -> None:
    for exponent in (-4, 0, 3):
        table = np.random.default_rng(3).standard_normal((V, DIM)).astype(np.float32) * np.float32(
            10.0**exponent
        )
        table[5] = 0
        source = save(tmp_path / f"model{exponent}", table, normalize=normalize)
        assert compare(source, tmp_path / f"artifact{exponent}", dtype, {}, {})


@pytest.mark.parametrize("stored", ["uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool"])
@pytest.mark.parametrize("mapped", [True, False])
def test_types_whose_means_model2vec_cuts(stored: str, mapped: bool, tmp_path: Path) -> None:
    table = (np.random.default_rng(3).random((V, DIM)) * 90).astype(stored)
    source = save(tmp_path / "model", table, mapping=np.arange(V) if mapped else None)
    message = rf"model\.safetensors: the embeddings are {stored}, expected float16, .*; convert them to float"
    with pytest.raises(SourceError, match=message):
        export_model(source, tmp_path / "artifact")


@pytest.mark.parametrize(
    ("scale", "options", "message"),
    [
        (1e38, {}, r"the largest vector has a norm of \S+e\+38, and float32 cannot hold 512 times that; mul"),
        (
            1e32,
            {"max_length": None},
            r"the largest vector has a norm of \S+, and float32 cannot hold 2147483648 times that; multiply",
        ),
        (
            1e30,
            {"normalize": True},
            r"the largest vector has a norm of \S+e\+30, and float32 cannot hold its square; multiply",
        ),
        (
            1e-38,
            {},
            r"the largest vector has a norm of \S+e-38, expected 1e-30 or more; multiply the table by",
        ),
        (
            1e-20,
            {"normalize": True},
            r"the vector of token 0 has a norm of 1\.0e-20, whose square float32 holds with few digits; mul",
        ),
        (0, {}, r"every vector is zero; repair the model"),
    ],
)
def test_refusals(scale: float, options: dict[str, Any], message: str, tmp_path: Path) -> None:
    table = np.eye(V, DIM, dtype=np.float32) * np.float32(scale)
    source = save(tmp_path / "model", table, **options)
    for dtype in ("float32", "int8"):
        with pytest.raises(SourceError, match=rf"model\.safetensors: {message}"):
            export_model(source, tmp_path / "artifact", dtype=dtype)


def test_a_small_vector_among_others(tmp_path: Path) -> None:
    table = np.eye(V, DIM)
    table[4] *= 1e-37
    source = save(tmp_path / "model", table.astype(np.float32))
    with pytest.raises(
        SourceError, match=r"the vector of token 4 has a norm of 1\.0e-37, expected 0, or 1e-35 or more"
    ):
        export_model(source, tmp_path / "artifact")
    table[4] *= 1e28
    source = save(tmp_path / "other", table.astype(np.float32))
    for dtype in ("float16", "int4"):
        with pytest.raises(
            ExportError,
            match=rf"^dtype='{dtype}' loses row 4 of the table, whose norm is only 1.0e-09; choose",
        ):
            export_model(source, tmp_path / "artifact", dtype=dtype)
    assert compare(source, tmp_path / "exact", "float32", {}, {})
    assert compare(source, tmp_path / "int8", "int8", {}, {})


@pytest.mark.parametrize("name", ["embeddings", "weights"])
@pytest.mark.parametrize("value", [1e300, 1e-300])
def test_float64_that_float32_cannot_hold(name: str, value: float, tmp_path: Path) -> None:
    tensors: dict[str, Any] = {"embeddings": np.ones((V, DIM)), "weights": np.ones(V)}
    tensors[name][4] = value
    source = save(tmp_path / "model", tensors["embeddings"], weights=tensors["weights"], mapping=np.arange(V))
    with pytest.raises(
        SourceError, match=r"float32 cannot hold 1 of the (vectors|token weights), such as one"
    ):
        export_model(source, tmp_path / "artifact")


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e18, 1e25])
def test_clusters_of_any_magnitude(scale: float, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    table = np.random.default_rng(3).standard_normal((V, DIM)).astype(np.float32) * np.float32(scale)
    table[3] = 0
    source = save(tmp_path / "model", table, normalize=scale < 1)
    ours, theirs = {"vocabulary_size": 5}, {"vocabulary_quantization": 5}
    done = compare(source, tmp_path / "artifact", "float32", ours, theirs)
    assert done == (scale in (1e-30, 1e18))
    if scale > 1e20:
        with pytest.raises(
            OptionError, match="the norm of a vector is beyond float32, so the vectors cannot be"
        ):
            export_model(source, tmp_path / "artifact", vocabulary_size=5)
