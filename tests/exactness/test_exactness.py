"""The promise: the token ids and vectors of model2vec, for every kind of model, on every text."""

from __future__ import annotations

import re
from importlib.metadata import requires, version
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model2vec import StaticModel

import texts
from comparison import Reference, assert_same
from corpus import paragraphs
from matrix import CASES, PROJECTOR_CASES, Case
from portvec import StaticEmbedder
from portvec_export import export_model
from portvec_export._sidecars.conformance_texts import list_conformance_texts
from project import BATCH_ROUNDING, FUZZ, ROOT

Pair = tuple[StaticEmbedder, Reference]


def test_the_reference_is_the_version_that_the_documentation_names() -> None:
    page = (ROOT / "docs" / "exactness.md").read_text(encoding="utf-8")
    named = set(re.findall(r"model2vec (\d+\.\d+)", page))
    assert ".".join(version("model2vec").split(".")[:2]) in named
    required = next(entry for entry in requires("portvec") or [] if entry.startswith("model2vec<"))
    assert all(f">={number}" in required for number in named)


TOKENIZERS: list[str] = ["tokenizers", "auto"]


@pytest.fixture(scope="module", params=TOKENIZERS)
def bundled_pair(request: pytest.FixtureRequest, bundled: Path, reference: StaticModel) -> Pair:
    return StaticEmbedder.load(bundled, tokenizer=request.param), reference


@pytest.fixture(
    scope="module",
    params=[(case, tokenizer) for case in [*CASES, *PROJECTOR_CASES] for tokenizer in TOKENIZERS],
    ids=lambda param: f"{param[0].name}-{param[1]}",
)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    case: Case = request.param[0]
    folder = tmp_path_factory.mktemp("case")
    source = case.build(folder / "model")
    artifact = export_model(source, folder / "artifact", **case.export)
    return StaticEmbedder.load(artifact, tokenizer=request.param[1]), case.load_reference(source)


class TestBundledModel:
    def test_ten_thousand_paragraphs(self, bundled_pair: Pair) -> None:
        assert_same(*bundled_pair, paragraphs(10_000))

    def test_scripts_and_adversarial_texts(self, bundled_pair: Pair) -> None:
        assert_same(*bundled_pair, [*list_conformance_texts(512, 3072), *texts.scripts(), *texts.ADVERSARIAL])

    def test_around_the_limits(self, bundled_pair: Pair) -> None:
        assert_same(*bundled_pair, [*texts.around_limits(512, 3072), *texts.huge()])

    def test_long_repetitive_texts_do_not_drift(self, bundled_pair: Pair) -> None:
        # Where sums are regrouped, these differ from model2vec by up to 3e-6.
        assert_same(*bundled_pair, ["+" + "-" * n + "+" + "=" * (n // 2) + "|" for n in range(100, 3000, 50)])

    def test_a_text_has_the_same_vector_in_any_batch_and_model2vecs_alone(self, bundled_pair: Pair) -> None:
        embedder, model = bundled_pair
        sample = paragraphs(300)
        together = embedder.encode(sample)
        backwards = embedder.encode(sample[::-1])[::-1]
        alone = np.stack([embedder.encode(text) for text in sample])
        np.testing.assert_allclose(backwards, together, rtol=0, atol=BATCH_ROUNDING)
        # A text alone is divided by its norm as model2vec does it, and batches as onnxruntime does.
        np.testing.assert_allclose(alone, together, rtol=0, atol=2e-7)
        np.testing.assert_array_equal(alone, [embedder.encode([text])[0] for text in sample])
        np.testing.assert_array_equal(alone, model.encode(sample))

    @settings(max_examples=150 * FUZZ, deadline=None)
    @given(st.lists(st.text(max_size=200), min_size=1, max_size=8))
    def test_generated_texts(self, bundled_pair: Pair, generated: list[str]) -> None:
        assert_same(*bundled_pair, generated)


class TestEveryModel:
    def test_english_and_all_scripts(self, pair: Pair) -> None:
        assert_same(*pair, [*paragraphs(300), *texts.scripts(), *list_conformance_texts(512, 3072)])

    def test_adversarial_texts_and_limits(self, pair: Pair) -> None:
        embedder, model = pair
        manifest = embedder.manifest
        limits = texts.around_limits(manifest.max_length, manifest.max_characters)
        assert_same(embedder, model, [*texts.ADVERSARIAL, *limits])

    @pytest.mark.slow
    def test_huge_texts(self, pair: Pair) -> None:
        assert_same(*pair, texts.huge())

    @settings(max_examples=25 * FUZZ, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(generated=st.lists(st.text(max_size=100), min_size=1, max_size=8))
    def test_generated_texts(self, pair: Pair, generated: list[str]) -> None:
        assert_same(*pair, generated)
