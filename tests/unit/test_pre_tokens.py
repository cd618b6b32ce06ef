"""Pre-tokens of normalized words: those of the pre-tokenizer of `tokenizers`."""

from __future__ import annotations

import json
from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest
from tokenizers import pre_tokenizers

from compiled_words import Words, compile_words
from portvec._vocabulary.file import VocabularyFile
from portvec._vocabulary.kinds import SPACE
from portvec._vocabulary.pre_tokens import open_pre_tokenizer
from portvec.errors import ArtifactError
from portvec_export._vocabulary.characters import probe_characters
from portvec_export._vocabulary.checks import find_difference, list_hard_words
from portvec_export._vocabulary.kinds import probe_kinds
from portvec_export._vocabulary.normalizer_steps import list_assigned
from project import FUZZ
from random_texts import random_texts
from word_checks import check_words

KNOWN: dict[str, list[Any]] = {
    "none": [],
    "Bert": [pre_tokenizers.BertPreTokenizer()],
    "Whitespace": [pre_tokenizers.Whitespace()],
    "WhitespaceSplit": [pre_tokenizers.WhitespaceSplit()],
    "Punctuation": [pre_tokenizers.Punctuation()],
    "Punctuation, contiguous": [pre_tokenizers.Punctuation("contiguous")],
    "Digits": [pre_tokenizers.Digits(individual_digits=True)],
    "Digits, contiguous": [pre_tokenizers.Digits(individual_digits=False)],
    "WhitespaceSplit, Punctuation": [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()],
    "Metaspace": [pre_tokenizers.Metaspace()],
    "Metaspace, never": [pre_tokenizers.Metaspace(prepend_scheme="never")],
    "Metaspace, first": [pre_tokenizers.Metaspace(prepend_scheme="first")],
    "Metaspace, another mark": [pre_tokenizers.Metaspace(replacement="a")],
    "WhitespaceSplit, Metaspace": [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()],
    "Digits, Metaspace": [pre_tokenizers.Digits(True), pre_tokenizers.Metaspace(prepend_scheme="never")],
    "ByteLevel": [pre_tokenizers.ByteLevel(add_prefix_space=False)],
    "ByteLevel, prefix": [pre_tokenizers.ByteLevel(add_prefix_space=True)],
    "Digits, ByteLevel": [pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)],
    "four": [
        pre_tokenizers.ByteLevel(),
        pre_tokenizers.Punctuation(),
        pre_tokenizers.Digits(),
        pre_tokenizers.ByteLevel(),
    ],
}


def facts_of(*steps: Any) -> Any:
    state = {"type": "Sequence", "pretokenizers": [json.loads(step.__getstate__()) for step in steps]}
    return {"normalizer": None, "pre_tokenizer": state if steps else None, "added_tokens": []}


@cache
def compiled(name: str) -> Words:
    words = compile_words(facts_of(*KNOWN[name]))
    assert words.pre_tokenizer is not None
    return words


def random_words(seed: str) -> list[str]:
    """Return hard texts, and words of characters that patterns look at."""
    random = Random(seed)
    pieces = [
        *"''''stmdlverea1.\t\n \u00e9\u4e00\u00b2\u2581\u0120\u3000\u2028",
        "re",
        "ve",
        "ll",
        "  ",
        "'s",
    ]
    words = ["".join(random.choices(pieces, k=random.randint(1, 8))) for _ in range(800)]
    return list(dict.fromkeys([*words, *random_texts(random, [], 300)]))


@pytest.mark.parametrize("name", KNOWN)
def test_words(name: str) -> None:
    words = random_words(name)
    facts = facts_of(*KNOWN[name])
    assert check_words(words, compile_words(facts, "".join(words)), facts) > 0.5 * len(words)


@pytest.mark.fuzz
@pytest.mark.parametrize("name", KNOWN)
def test_every_character_beside_others(name: str) -> None:
    characters = list(list_assigned())
    # All of them take minutes, so `make test` has a block from here and there.
    for start in range(0, len(characters), 4096 if FUZZ > 1 else 12 * 4096):
        part = characters[start : start + 4096]
        mixed = (
            f"{character}a{character}1{character}.{character} {character}'s{character}" for character in part
        )
        check_words([*part, *mixed], compiled(name), facts_of(*KNOWN[name]))


@pytest.mark.parametrize(
    "steps",
    [
        [pre_tokenizers.UnicodeScripts()],
        [pre_tokenizers.Split(" ", "isolated")],
        [pre_tokenizers.Punctuation("merged_with_previous")],
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="first")],
        [pre_tokenizers.Metaspace(split=False)],
        [pre_tokenizers.ByteLevel(use_regex=False)],
        [pre_tokenizers.Digits()] * 5,
    ],
)
def test_what_only_the_library_does(steps: list[Any]) -> None:
    facts = facts_of(*steps)
    assert probe_kinds(facts, "a") == {}
    assert compile_words(facts, "a").pre_tokenizer is None


def test_no_words() -> None:
    for steps in KNOWN.values():
        pre_tokenizer = compile_words(facts_of(*steps), "").pre_tokenizer
        assert pre_tokenizer is not None
        pieces, counts = pre_tokenizer.split([])
        assert (pieces, counts.tolist()) == ([], [])


@pytest.mark.parametrize("name", ["Bert", "ByteLevel"])
def test_check_at_export(name: str) -> None:
    facts, arrays = probe_characters(facts_of(*KNOWN[name]))
    arrays.update(probe_kinds(facts_of(*KNOWN[name])))
    facts["tokenizer"] = facts_of(*KNOWN[name])
    file = VocabularyFile(facts, arrays)
    words = list(list_hard_words(file))
    assert find_difference(file, words) is None
    kinds = arrays["kinds"].copy()
    kinds[arrays["kind_pages"][0] * 256 + ord("\u00e9")] = SPACE
    assert "\u00e9" in (find_difference(VocabularyFile(facts, {**arrays, "kinds": kinds}), words) or "")


@pytest.mark.parametrize("name", ["Bert", "Whitespace", "ByteLevel", "ByteLevel, prefix", "four"])
def test_damaged_kinds(name: str) -> None:
    """Whatever the kinds say, nothing is read outside them."""
    for seed in range(30):
        random = Random(seed)
        bits = random.choice([4, 12, 31])
        pages = [random.getrandbits(bits) * random.choice([1, -1]) for _ in range(0x1100)]
        arrays: dict[str, Any] = {
            "kind_pages": np.array(pages, dtype=np.int32),
            "kinds": np.array(
                [random.getrandbits(8) for _ in range(random.choice([1, 999]))], dtype=np.uint8
            ),
        }
        pre_tokenizer = open_pre_tokenizer(VocabularyFile({"tokenizer": facts_of(*KNOWN[name])}, arrays))
        assert pre_tokenizer is not None
        words = [*random_words(name)[:100], "a", "don't"]
        pieces, counts = pre_tokenizer.split(words)
        assert len(pieces) == counts.sum()
        assert len(counts) == len(words)
        assert all(pre_tokenizer.split_one(word) is not None for word in words)


def test_arrays_of_another_kind() -> None:
    facts = {"tokenizer": facts_of(pre_tokenizers.BertPreTokenizer())}
    with pytest.raises(ArtifactError, match="has no array 'kind_pages'"):
        open_pre_tokenizer(VocabularyFile(facts, {}))
