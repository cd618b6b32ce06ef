"""Graphs with text input: the ids and vectors of the artifact, for every kind of model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import texts as hard
from classifiers import pipeline
from corpus import paragraphs
from matrix import CASES, PROJECTOR_CASES, Case
from portvec import StaticClassifier, StaticEmbedder
from portvec._artifact import format as fmt
from portvec._artifact.folder import open_artifact
from portvec._tokenization.selection import LIBRARY, choose_tokenizer
from portvec_export import export_model
from portvec_export._sidecars.conformance_texts import list_conformance_texts
from stock_graphs import KINDS, StockGraph, prove_less

TEXTS = [
    *list_conformance_texts(512, 3072),
    *hard.scripts(),
    *hard.ADVERSARIAL,
    *hard.around_limits(512, 3072),
    *paragraphs(200),
]
# Each type of table with some tokenizer.
DTYPES = ["float32", "int8", "float16", "int4"]


@pytest.fixture(autouse=True, scope="module")
def _less_proof() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        prove_less(patch)
        yield


@pytest.fixture(
    scope="module", params=enumerate([*CASES, *PROJECTOR_CASES]), ids=lambda param: str(param[1].name)
)
def artifact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    number: int = request.param[0]
    case: Case = request.param[1]
    folder = tmp_path_factory.mktemp("case")
    options = {"text_input": KINDS, "dtype": DTYPES[number % len(DTYPES)], **case.export}
    return export_model(case.build(folder / "model"), folder / "artifact", **options)


def test_ids_and_vectors(artifact: Path) -> None:
    tokenizer = choose_tokenizer(open_artifact(artifact), LIBRARY, at_once=True)
    expected = tokenizer.tokenize(TEXTS).lists()
    vectors = StaticEmbedder.load(artifact).encode(TEXTS)
    norms = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    for kind in KINDS:
        graph = StockGraph(artifact, kind)
        assert graph.ids(TEXTS) == expected
        got = graph.run(TEXTS)[fmt.SENTENCE_EMBEDDING]
        assert (np.abs(got - vectors) / norms).max() <= fmt.DENSE_TOLERANCE


def test_a_text_has_the_same_ids_alone_and_in_any_batch(artifact: Path) -> None:
    graph = StockGraph(artifact, fmt.STRINGS)
    some = [*TEXTS[:70], *TEXTS[-5:]]
    together = graph.ids(some)
    assert [graph.ids([text])[0] for text in some] == together
    assert graph.ids(some[::-1]) == together[::-1]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("softmax", fmt.PROBABILITIES), ("sigmoid", fmt.PROBABILITIES), ("regressor", fmt.PREDICTIONS)],
)
def test_a_head_has_its_outputs(kind: str, name: str, tmp_path: Path) -> None:
    pipeline(kind).save_pretrained(str(tmp_path / "model"))
    artifact = export_model(
        tmp_path / "model",
        tmp_path / "artifact",
        text_input=KINDS,
        semantics="model2vec" if kind == "regressor" else None,
    )
    classifier = StaticClassifier.load(artifact)
    for each in KINDS:
        got = StockGraph(artifact, each).run(TEXTS)
        np.testing.assert_allclose(got[fmt.LOGITS], classifier.logits(TEXTS), rtol=0, atol=1e-4)
        if kind != "regressor":
            np.testing.assert_allclose(got[name], classifier.predict_proba(TEXTS), rtol=0, atol=1e-5)
        else:
            np.testing.assert_array_equal(got[name], got[fmt.LOGITS])
