"""The promise: the token ids and vectors of model2vec, on real text."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from model2vec import StaticModel

import tiny_models
from corpus import paragraphs
from portvec import StaticEmbedder
from portvec_export import export_model
from portvec_export._conformance_texts import conformance_texts


def reference_ids(model: StaticModel, texts: list[str]) -> list[list[int]]:
    if model.max_length is None:
        return model.tokenize(texts)
    characters = model.max_length * model.median_token_length
    return model.tokenize([text[:characters] for text in texts])


def assert_same(embedder: StaticEmbedder, model: StaticModel, texts: list[str]) -> None:
    assert embedder.tokenize(texts).lists() == reference_ids(model, texts)
    expected = model.encode(texts)
    norms = np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), np.float32(1e-30))
    got = embedder.encode(texts)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got / norms, expected / norms, rtol=0, atol=1e-6)


def test_the_reference_is_the_version_that_the_documentation_names() -> None:
    assert version("model2vec").startswith("0.10.")


def test_bundled_model_on_ten_thousand_paragraphs(bundled: Path, reference: StaticModel) -> None:
    assert_same(StaticEmbedder.load(bundled), reference, paragraphs(10_000))


def test_bundled_model_on_the_conformance_texts(bundled: Path, reference: StaticModel) -> None:
    assert_same(StaticEmbedder.load(bundled), reference, conformance_texts(512, 3072))


def test_long_repetitive_texts_do_not_drift(bundled: Path, reference: StaticModel) -> None:
    # Where sums are regrouped, these differ from model2vec by up to 3e-6.
    texts = ["+" + "-" * n + "+" + "=" * (n // 2) + "|" for n in range(100, 3000, 50)]
    assert_same(StaticEmbedder.load(bundled), reference, texts)


@pytest.mark.parametrize("length", [0, 1, 2, 511, 512, 513, 514, 3071, 3072, 3073, 20_000])
@pytest.mark.parametrize("unit", ["a ", "🙂", "unbelievably ", "x", "the[UNK]"])
def test_texts_around_the_truncation_limits(
    bundled: Path, reference: StaticModel, unit: str, length: int
) -> None:
    text = (unit * (length // len(unit) + 1))[:length]
    assert_same(StaticEmbedder.load(bundled), reference, [text, text + " end", "between", unit * length])


@pytest.mark.parametrize("kind", tiny_models.KINDS)
@pytest.mark.parametrize("max_length", [512, 7, None])
@pytest.mark.parametrize("normalize", [True, False])
def test_every_tokenizer_kind(
    kind: tiny_models.Kind, max_length: int | None, normalize: bool, tmp_path: Path
) -> None:
    source = tiny_models.save(tmp_path / "model", kind, max_length=max_length, normalize=normalize)
    embedder = StaticEmbedder.load(export_model(source, tmp_path / "artifact"))
    model = StaticModel.from_pretrained(source, quantize_to="float32", force_download=False)
    assert_same(embedder, model, conformance_texts(512, 3072) + paragraphs(500))


def test_a_text_has_the_same_vector_alone_and_in_any_batch(bundled: Path) -> None:
    texts = paragraphs(300)
    embedder = StaticEmbedder.load(bundled)
    together = embedder.encode(texts)
    backwards = embedder.encode(texts[::-1])[::-1]
    alone = np.stack([embedder.encode(text) for text in texts])
    np.testing.assert_array_equal(together, backwards)
    np.testing.assert_array_equal(together, alone)
