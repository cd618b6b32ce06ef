"""The proof that a graph gives the ids of its tokenizer."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from portvec_export._text_input import proof
from portvec_export._text_input.errors import NotExpressible

TOKENIZER: dict[str, Any] = {
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": {"type": "WhitespaceSplit"},
    "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "[UNK]": 2}, "unk_token": "[UNK]"},
}


@pytest.fixture(autouse=True)
def _few_code_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "CODE_POINTS", np.arange(0x250, dtype="<u4"))


def load() -> Tokenizer:
    return Tokenizer.from_str(json.dumps(TOKENIZER))


def test_a_graph_that_is_right_is_proven() -> None:
    proof.check_ids(load(), ["a b", "", "b " * 3000])


def test_a_difference_in_any_text_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = proof.GraphTokenizer.encode

    def wrong(self: proof.GraphTokenizer, texts: list[str]) -> list[list[int]]:
        found = right(self, texts)
        return [[0, 0] if text == "a\u0149b" * 40 else ids for text, ids in zip(texts, found, strict=True)]

    monkeypatch.setattr(proof.GraphTokenizer, "encode", wrong)
    proof.check_ids(load(), ["a"])
    with pytest.raises(NotExpressible, match=r"^the text 'a\\u0149ba.*\.\.\.' would get other ids in "):
        proof.check_ids(load(), ["a", "a\u0149b" * 40])


def test_every_code_point_is_tried_alone_and_in_a_word() -> None:
    texts = set(proof.list_texts(load()))
    for code in (0, 0x20, 0x149, 0x24F):
        assert chr(code) in texts
        assert any(f"a{chr(code)}b" in text for text in texts)


def test_a_tokenizer_that_fails_is_named() -> None:
    class Failing:
        def __init__(self) -> None:
            self._tokenizer = load()

        def __getattr__(self, name: str) -> object:
            return getattr(self._tokenizer, name)

        def encode_batch_fast(self, *_: object, **__: object) -> object:
            raise ValueError("no unknown token\nat all")

    tokenizer = Failing()
    with pytest.raises(NotExpressible, match=r"`tokenizers` itself fails on some texts \(no unknown token"):
        proof.check_ids(tokenizer, ["a"])  # type: ignore[arg-type]
