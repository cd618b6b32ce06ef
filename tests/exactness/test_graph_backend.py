"""`tokenizer="graph"` with graphs that the exporter writes gives what `tokenizers` gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import classifiers
import tiny_models
from corpus import paragraphs
from portvec import StaticClassifier, StaticEmbedder
from portvec_export import export_model
from stock_graphs import prove_less

TEXTS = [
    *paragraphs(300),
    "",
    "\0",
    "a\0b \0 text",
    "[UNK] and <unk> and <|endoftext|>text",
    "na\u00efve cafe\u0301 \ufb01 \u65e5\u672c\u8a9e \U0001f600\u200d\U0001f600 \U0010ffff",
    "word " * 3000,
    "w" * 5000,
]


@pytest.fixture(autouse=True)
def _less_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    prove_less(monkeypatch)


@pytest.mark.parametrize("kind", tiny_models.KINDS)
def test_kinds_of_models(kind: tiny_models.Kind, tmp_path: Path) -> None:
    tiny_models.save(tmp_path / "model", kind)
    artifact = export_model(tmp_path / "model", tmp_path / "artifact", text_input=["strings"])
    graph, plain = (StaticEmbedder.load(artifact, tokenizer=name) for name in ("graph", "tokenizers"))
    assert graph.tokenize(TEXTS).lists() == plain.tokenize(TEXTS).lists()
    np.testing.assert_array_equal(graph.encode(TEXTS), plain.encode(TEXTS))
    for text in TEXTS[-8:]:
        np.testing.assert_array_equal(graph.encode(text), plain.encode(text))
        expected = plain.encode(text, prompt="passage: ")
        np.testing.assert_array_equal(graph.encode(text, prompt="passage: "), expected)


def test_classifier(tmp_path: Path) -> None:
    classifiers.pipeline("softmax").save_pretrained(str(tmp_path / "model"))
    artifact = export_model(tmp_path / "model", tmp_path / "artifact", text_input=["strings"])
    graph, plain = (StaticClassifier.load(artifact, tokenizer=name) for name in ("graph", "tokenizers"))
    assert graph.tokenizer == "graph"
    np.testing.assert_array_equal(graph.predict_proba(TEXTS), plain.predict_proba(TEXTS))
