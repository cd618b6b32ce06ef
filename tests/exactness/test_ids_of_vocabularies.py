"""Vocabularies with gaps, shared ids and added tokens: model2vec's ids and vectors, or a clear refusal."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from model2vec import StaticModel
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from comparison import assert_same
from portvec import StaticEmbedder, verify
from portvec.errors import SourceError
from portvec_export import export_model
from project import FUZZ

# The words of the texts, for each kind of model. A space in front is part of a byte-level or Metaspace token.
WORDS = ["a", "b", "ab", "the", "value", "!", ".", "x1"]
KINDS: dict[str, dict[str, Any]] = {
    "WordLevel": {"pre_tokenizer": {"type": "Whitespace"}},
    "WordPiece": {
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
    },
    "BPE": {
        "pre_tokenizer": {
            "type": "Metaspace",
            "replacement": "\u2581",
            "prepend_scheme": "always",
            "split": True,
        }
    },
}


def build(folder: Path, kind: str, ids: list[int], added: list[str], size: int | None) -> Path:
    """Write a model whose tokens have these ids: UNK the first, then the words.

    It has a mapping for `size` ids; none if `size` is None.
    """
    tokens = ["[UNK]", *WORDS]
    if kind == "WordPiece":
        tokens.append("##b")
    if kind == "BPE":
        tokens = ["[UNK]", *"ab\u2581", *"!.", "the", "value", "x1", "\u2581a"]
    vocab = dict(zip(tokens, ids, strict=False))
    model: dict[str, Any] = {"type": kind, "vocab": vocab, "unk_token": "[UNK]"}
    if kind == "WordPiece":
        model |= {"continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
    if kind == "BPE":
        model |= {"merges": [["\u2581", "a"]] if "\u2581a" in vocab else [], "fuse_unk": False}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": 7000 + index,  # `tokenizers` chooses another
                "content": content,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for index, content in enumerate(added)
        ],
        "normalizer": None,
        "post_processor": None,
        "decoder": None,
        **KINDS[kind],
        "model": model,
    }
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "config.json").write_text(json.dumps({"normalize": False}))
    rng = np.random.default_rng(0)
    rows = len(vocab) + len([one for one in added if one not in vocab]) if size is None else 7
    tensors: dict[str, np.ndarray] = {"embeddings": rng.standard_normal((rows, 4)).astype(np.float32)}
    if size is not None:
        tensors["mapping"] = rng.integers(0, rows, size)
        tensors["weights"] = rng.random(size).astype(np.float32)
    save_file(tensors, folder / "model.safetensors")
    return folder


TEXTS = [
    *WORDS,
    *[f"{a} {b}" for a in WORDS for b in WORDS],
    "",
    "?",
    "ab!the. <x> value?",
    "<x>",
    "[UNK] \U0010fffe a",
    "the value " * 200,
    "value! " * 300,
    *[f"a b{n} ab! . value the x1 {n}" for n in range(90)],
]


def check(folder: Path, kind: str, ids: list[int], added: list[str], size: int | None) -> None:
    source = build(folder / "model", kind, ids, added, size)
    try:
        artifact = export_model(source, folder / "artifact")
    except SourceError as error:
        check_refusal(str(error), source, size)
        return
    model = StaticModel.from_pretrained(source, quantize_to="float32", force_download=False)
    verify(artifact)
    for tokenizer in ("tokenizers", "auto"):
        embedder = StaticEmbedder.load(artifact, tokenizer=tokenizer, threads=1)
        for _ in range(2):  # before and after it has learnt words
            assert_same(embedder, model, TEXTS)
        for text, expected in zip(TEXTS[:12], model.encode(TEXTS[:12]), strict=True):
            np.testing.assert_allclose(embedder.encode(text), expected, rtol=0, atol=1e-6)


def check_refusal(message: str, source: Path, size: int | None) -> None:
    """Check that a refused model is one that model2vec cannot run in a defined way."""
    assert "\n" not in message
    vocabulary = Tokenizer.from_file(str(source / "tokenizer.json")).get_vocab()
    if "have the same id" in message:
        assert len(set(vocabulary.values())) < len(vocabulary)
    elif "rows; the two files" in message:
        with pytest.raises(ValueError, match="does not match number of vectors"):
            StaticModel.from_pretrained(source, force_download=False)
    else:
        assert "token ids up to" in message
        assert max(vocabulary.values()) >= (len(vocabulary) if size is None else size)


def some_of(size: int) -> st.SearchStrategy[list[int]]:
    """Return ten different ids below `size`."""
    return st.permutations(range(size)).map(lambda ids: ids[:10])


@settings(max_examples=40 * FUZZ, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(sorted(KINDS)),
    ids=st.sampled_from([10, 11, 12, 14, 40]).flatmap(some_of),
    added=st.lists(st.sampled_from(["<x>", "[UNK]", "a", "!", "the value"]), unique=True, max_size=3),
    size=st.sampled_from([None, 8, 12, 15, 41, 41]),
)
# As many tokens as the id of one of them, which is thus the next id that `tokenizers` gives out.
@example(kind="WordLevel", ids=[0, 1, 2, 3, 9, 5, 6, 7, 8], added=[], size=10)
@example(kind="WordPiece", ids=[0, 1, 2, 3, 10, 5, 6, 7, 8, 11], added=[], size=12)
@example(kind="BPE", ids=[0, 10, 2, 3, 9, 5, 6, 7, 8, 11], added=[], size=12)
# "!" shares its id with a word.
@example(kind="WordPiece", ids=[0, 1, 2, 3, 4, 5, 5, 7, 8, 9], added=[], size=10)
@example(kind="WordPiece", ids=[0, 1, 2, 3, 4, 5, 5, 7, 8, 9], added=[], size=None)
# An added token is given an id that a word has.
@example(kind="WordLevel", ids=[0, 1, 2, 3, 9, 5, 6, 7, 8], added=["<x>"], size=12)
# UNK has a high id, and one that a word has too.
@example(kind="WordPiece", ids=[30, 1, 2, 30, 4, 5, 6, 7, 8, 9], added=["[UNK]"], size=41)
def test_generated_vocabularies(kind: str, ids: list[int], added: list[str], size: int | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check(Path(folder), kind, list(ids), added, size)


@settings(max_examples=5 * FUZZ, deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    ids=st.lists(st.integers(0, 8), min_size=10, max_size=10),
    size=st.sampled_from([None, 9]),
)
def test_two_tokens_with_one_id(kind: str, ids: list[int], size: int | None) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.raises(SourceError, match="have the same id"):
        export_model(build(Path(folder) / "model", kind, ids, [], size), Path(folder) / "artifact")


@pytest.mark.parametrize("kind", KINDS)
def test_token_with_the_id_that_follows_the_vocabulary(kind: str, tmp_path: Path) -> None:
    ids = [0, 10, 2, 3, 9, 5, 6, 7, 8, 11]
    check(tmp_path, kind, ids, [], 12)
