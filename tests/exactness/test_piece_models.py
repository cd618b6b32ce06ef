"""Ids of a compiled vocabulary are those of the tokenizers library, for random models and long words."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import Unigram, WordLevel, WordPiece

from portvec._vocabulary import blocks, lattice
from portvec._vocabulary.file import VocabularyFile, pack_vocabulary, read_vocabulary
from portvec._vocabulary.models import PieceModel, open_model
from portvec._vocabulary.token_ids import TokenIds
from portvec._vocabulary.trie import Trie
from portvec_export._vocabulary.errors import NotCompilable
from portvec_export._vocabulary.models import compile_model
from project import FUZZ
from random_vocabularies import make

KINDS = ["Unigram", "WordPiece", "WordLevel"]


def compiled(tokenizer: Tokenizer) -> PieceModel:
    facts, arrays = compile_model(tokenizer)
    return open_model(read_vocabulary(pack_vocabulary({"model": facts}, arrays), "vocabulary"))


def expected(tokenizer: Tokenizer, words: list[str]) -> list[list[int]]:
    return [[token.id for token in tokenizer.model.tokenize(word)] for word in words]


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_of_the_library(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(60 * FUZZ):
        tokenizer, source = make(kind, seed)
        model, words = compiled(tokenizer), source.words(60)
        wanted = expected(tokenizer, words)
        where = f"{kind} {seed}"
        assert [model.encode_one(word) for word in words] == wanted, where
        # One block and several, and all words in blocks or few of them.
        monkeypatch.setattr(blocks, "FEW", seed % 3)
        monkeypatch.setattr(blocks, "BLOCK", 1 << 15 if seed % 2 else 40)
        found = model.encode(words)
        assert found.lists() == wanted, where
        assert found.ids.dtype == found.offsets.dtype == np.int64


@pytest.mark.parametrize("kind", KINDS)
def test_no_words_have_no_ids(kind: str) -> None:
    found = compiled(make(kind, 0)[0]).encode([])
    assert found.lists() == []
    assert isinstance(found, TokenIds)


@pytest.mark.parametrize("kind", KINDS)
def test_words_of_any_length(kind: str) -> None:
    """Long words among many short ones. Lists become arrays at 4,096 characters, and a block has 32,768."""
    tokenizer, source = make(kind, 4)
    long = ["".join(source.words(count)) for count in (50, 700, 3_000, 10_000)]
    words = source.words(2_000)
    for at, word in zip((0, 500, 501, len(words)), long, strict=True):
        words.insert(at, word)
    assert max(map(len, words)) > 1 << 15
    model = compiled(tokenizer)
    assert model.encode(words).lists() == expected(tokenizer, words)
    assert [model.encode_one(word) for word in long] == expected(tokenizer, long)


def test_a_block_in_which_too_many_pieces_occur(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words of one letter, of which all lengths are pieces, have an edge for each pair of positions."""
    vocabulary = [("<unk>", 0.0), *(("a" * length, -1.0 / length) for length in range(1, 100))]
    tokenizer = Tokenizer(Unigram(vocabulary, 0, False))
    words = ["a" * length for length in range(150, 50, -1)]
    wanted = expected(tokenizer, words)
    model = compiled(tokenizer)
    assert model.encode(words).lists() == wanted
    monkeypatch.setattr(lattice, "_EDGES", 10_000)
    arrays = compile_model(tokenizer)[1]
    trie = Trie(VocabularyFile({}, arrays))
    assert lattice.find_best_pieces(trie, arrays["score"], -11.0, words) is None
    assert model.encode(words).lists() == wanted


def test_scores_are_those_that_the_library_computes_with() -> None:
    """Its JSON parser may be off by the last bit. So numbers are taken from its state, not from the file."""
    random = Random(1)
    numbers = [random.uniform(-15, 0) * 10 ** random.randint(-3, 3) for _ in range(5_000)]
    content = {
        "model": {"type": "Unigram", "unk_id": 0, "vocab": [[str(n), x] for n, x in enumerate(numbers)]}
    }
    tokenizer = Tokenizer.from_str(json.dumps(content))
    score = compile_model(tokenizer)[1]["score"]
    # Numbers that come from Python are passed as they are, so equal states are equal numbers.
    again = Unigram([(str(n), x) for n, x in enumerate(score.tolist())], 0, False)
    assert again.__getstate__() == tokenizer.model.__getstate__()


class TestWhatIsNotCompiled:
    """The reason is for people."""

    def refusal(self, model: Any) -> str:
        with pytest.raises(NotCompilable) as error:
            compile_model(Tokenizer(model))
        return str(error.value)

    def test_unigram(self) -> None:
        assert self.refusal(Unigram([("a", 0.0)], None, False)) == "its Unigram has no unknown token"
        assert self.refusal(Unigram([("a", -1e300)], 0, False)) == "its Unigram has scores beyond 1e+200"
        assert (
            self.refusal(Unigram([("a", float("nan"))], 0, False)) == "its Unigram has scores beyond 1e+200"
        )
        assert self.refusal(Unigram([("", 0.0)], 0, False)) == "its vocabulary is empty"

    @pytest.mark.parametrize("model", [WordPiece, WordLevel])
    def test_without_an_unknown_token(self, model: Any) -> None:
        reason = f"the unknown token of its {model.__name__} is not in the vocabulary"
        assert self.refusal(model({"a": 0}, unk_token="[UNK]")) == reason

    def test_large_ids(self) -> None:
        reason = "it has token ids from 2147483648 on"
        assert self.refusal(WordLevel({"a": 0, "b": 2**31}, unk_token="a")) == reason
