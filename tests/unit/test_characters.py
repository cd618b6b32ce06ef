"""The character map: each word as the normalizer maps it, or none."""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise, product
from random import Random
from typing import Any

import numpy as np
import pytest
from tokenizers import Regex, normalizers

from compiled_words import Words, compile_words
from matrix import unigram_sentencepiece
from portvec._vocabulary.characters import SEPARATOR, CharacterMap
from portvec._vocabulary.file import VocabularyFile
from portvec.errors import ArtifactError
from portvec_export._vocabulary.characters import probe_characters
from portvec_export._vocabulary.checks import find_difference, list_hard_words
from portvec_export._vocabulary.normalizer_steps import list_assigned
from project import FUZZ
from random_texts import random_texts
from word_checks import check_words

_COLLAPSE = normalizers.Replace(Regex(" {2,}"), " ")


def _steps() -> dict[str, list[Any]]:
    precompiled = unigram_sentencepiece().normalizer[0]
    bert = {
        f"Bert, {clean}, {chinese}, {accents}, {lower}": [
            normalizers.BertNormalizer(clean, chinese, accents, lower)
        ]
        for clean, chinese, accents, lower in product(
            (True, False), (True, False), (None, True, False), (True, False)
        )
    }
    return {
        **bert,
        "none": [],
        "NFC": [normalizers.NFC()],
        "NFD": [normalizers.NFD()],
        "NFKC": [normalizers.NFKC()],
        "NFKD": [normalizers.NFKD()],
        "NFD, NFC": [normalizers.NFD(), normalizers.NFC()],
        "NFKD, StripAccents, Lowercase": [
            normalizers.NFKD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
        ],
        "Lowercase, NFKC": [normalizers.Lowercase(), normalizers.NFKC()],
        "StripAccents": [normalizers.StripAccents()],
        "Nmt": [normalizers.Nmt()],
        "ByteLevel": [normalizers.ByteLevel()],
        "Precompiled": [precompiled],
        "Precompiled, Strip, collapse": [precompiled, normalizers.Strip(False, True), _COLLAPSE],
        "ALBERT": [
            normalizers.Replace("``", '"'),
            normalizers.Replace("''", '"'),
            normalizers.NFKD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
            precompiled,
        ],
        "collapse, NFKC": [_COLLAPSE, normalizers.NFKC()],
        "Strip, Replace of a space": [normalizers.Strip(True, True), normalizers.Replace(" ", "\u2581")],
        "Replace": [normalizers.Replace("a", "ab"), normalizers.Replace("b", "")],
    }


@cache
def facts_of(name: str) -> Any:
    steps = [json.loads(step.__getstate__()) for step in _steps()[name]]
    return {
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": None,
        "added_tokens": [],
    }


@cache
def compiled(name: str) -> Words:
    return compile_words(facts_of(name))


NAMES = list(_steps())


@pytest.mark.parametrize("name", NAMES)
def test_words(name: str) -> None:
    words = list(dict.fromkeys(random_texts(Random(name), [], 600)))
    characters = "".join(words)
    mapped = check_words(words, compile_words(facts_of(name), characters), facts_of(name))
    assert mapped > 0.1 * len(words)


@pytest.mark.fuzz
@pytest.mark.parametrize("name", NAMES)
def test_every_character_beside_others(name: str) -> None:
    """Beside marks of several combining classes, Jamo, joiners, spaces, and what may compose with it."""
    words = compiled(name)
    neighbours = [
        *"a\u0308\u0323\u0345\u093c\u1161\u11a8\u1100\u200d\u0600\U0001f1e6\U0001f3fb\u00c5\u03a3\r\n'"
    ]
    asked = words.characters.normalize(neighbours)[1].tolist()
    beside = [neighbour for neighbour, ask in zip(neighbours, asked, strict=True) if not ask]
    characters = list(list_assigned())
    # All of them take minutes, so `make test` has a block from here and there.
    for start in range(0, len(characters), 4096 if FUZZ > 1 else 12 * 4096):
        part = characters[start : start + 4096]
        texts = [
            *part,
            *(character.join(["", *beside, ""]) for character in part),
            *(f" {character} {character}a" for character in part),
            *(first + second for first, second in pairwise(part)),
        ]
        check_words(list(dict.fromkeys(texts)), words, facts_of(name))


@pytest.mark.parametrize("name", ["Bert, True, True, None, True", "NFC", "Precompiled, Strip, collapse"])
def test_check_at_export(name: str) -> None:
    facts, arrays = probe_characters(facts_of(name))
    facts["tokenizer"] = facts_of(name)
    file = VocabularyFile(facts, arrays)
    words = list(list_hard_words(file))
    assert find_difference(file, words) is None
    word = next(word for word in words if "\u00c5" in word)
    code = ord("\u00c5")
    entries = arrays["map_entries"].copy()
    entries[arrays["map_pages"][code >> 8] * 256 + (code & 255)] = 1 * 256 + 1
    changed = VocabularyFile(facts, {**arrays, "map_entries": entries})
    assert find_difference(changed, [f"{word}a"]) == f"{word}a"


@pytest.mark.parametrize(
    ("name", "mapped", "asked"),
    [
        (
            "NFC",
            ["\u00e9", "e", "\ud55c", "\ufb01", "\u212b"],
            ["\u0301", "\u1161", "\u11a8", "\u09be", "\u0378"],
        ),
        ("NFKC", ["\ufb01", "\u3000", "\u3131"], ["\u314f", "\uff9e", "\u0345"]),
        ("NFKD, StripAccents, Lowercase", ["\u00c9", "\u00b4", "\u0130"], ["\u0301"]),
        (
            "Bert, True, True, None, True",
            ["\u00c9", "\u4e00", "\u0301a", "\u03a3"],
            ["\u302e", "\u0301", "\0"],
        ),
        ("Bert, True, True, False, False", ["\u302ea", "\u1161"], ["\U0010fffe", "\ufffd"]),
        ("Precompiled", ["\u00e9", "\uff21"], ["\r", "\u0301", "\u0e33", "\U0001f1e6", "\u0d4e", "\u1161"]),
        ("Precompiled, Strip, collapse", [" a", " \u3000a"[1:]], ["a ", "a  b", "a\u3000", "\u3000\u3000a"]),
        ("collapse, NFKC", [" a", "\u3000\u3000"[:1]], ["a  b"]),
        ("Strip, Replace of a space", ["a"], [" ", "a b", "\t"]),
        ("ALBERT", ["\u00c9"], ["`", "'"]),
    ],
)
def test_what_is_asked_about(name: str, mapped: list[str], asked: list[str]) -> None:
    characters = compiled(name).characters
    assert [word for word in mapped if characters.normalize_one(word) is None] == []
    assert [word for word in asked if characters.normalize_one(word) is not None] == []
    assert characters.normalize([*mapped, *asked])[1].tolist() == [False] * len(mapped) + [True] * len(asked)


@pytest.mark.parametrize(
    "step",
    [
        normalizers.Prepend("x"),
        normalizers.Replace("", "x"),
        normalizers.Replace(Regex("a(?=b)"), "x"),
        normalizers.Replace(Regex(" {3,}"), " "),
    ],
)
def test_everything_is_asked_about_if_a_step_is_not_known(step: Any) -> None:
    facts = {**facts_of("none"), "normalizer": json.loads(step.__getstate__())}
    characters = compile_words(facts, "ab ").characters
    assert characters.normalize(["a", "b", " a"])[1].tolist() == [True] * 3
    assert characters.normalize_one("a") is None


def test_characters_that_vanish_are_asked_about_if_the_first_is_marked() -> None:
    facts = facts_of("Bert, True, True, None, True")
    first = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True}
    assert compile_words(facts, "a\1").characters.normalize_one("\1a") == "a"
    assert compile_words({**facts, "pre_tokenizer": first}, "a\1").characters.normalize_one("\1a") is None


def test_no_words() -> None:
    words, asked = compiled("NFC").characters.normalize([])
    assert (words, asked.tolist()) == ([], [])
    words, asked = compiled("NFC").characters.normalize(["", "a"])
    assert (words[1], asked.tolist()) == ("a", [True, False])


def test_more_characters_than_are_remembered() -> None:
    characters = compiled("Bert, True, True, None, True").characters
    for code in (*range(0x4E00, 0x9FFF), *range(0x4E00, 0x4E80)):
        assert characters.normalize_one(chr(code)) == f" {chr(code)} "


def damaged(random: Random) -> VocabularyFile:
    """Return a file with a map that is well-formed and means nothing."""
    bits = random.choice([4, 12, 31])

    def integers(count: int, dtype: Any) -> Any:
        return np.array([random.getrandbits(bits) * random.choice([1, 1, -1]) for _ in range(count)]).astype(
            dtype
        )

    arrays = {
        "map_pages": integers(0x1100, np.int32),
        "map_entries": integers(random.choice([1, 256, 999]), np.int32),
        "map_text": integers(random.choice([1, 40]), np.uint32),
    }
    facts = {name: random.random() < 0.5 for name in ("collapses", "strips_left", "strips_right")}
    return VocabularyFile({"characters": facts}, arrays)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_maps(seed: int) -> None:
    """Whatever the map says, both ways agree, and nothing is read outside it."""
    characters = CharacterMap(damaged(Random(seed)))
    words = ["a", "ab c", "\u00e9\u4e00", f"a{SEPARATOR}", "\U0010ffff", " ", *map(chr, range(0x20, 0x7F))]
    normalized, asked = characters.normalize(words)
    for word, image, ask in zip(words, normalized, asked.tolist(), strict=True):
        assert characters.normalize_one(word) == (None if ask else image)


def test_arrays_of_another_kind() -> None:
    facts, arrays = probe_characters(facts_of("none"), "a")
    with pytest.raises(ArtifactError, match="has no array 'map_text'"):
        CharacterMap(VocabularyFile(facts, {name: arrays[name] for name in ("map_pages", "map_entries")}))
    with pytest.raises(ArtifactError, match="array 'map_pages' has 9 elements, expected 4352"):
        CharacterMap(VocabularyFile(facts, {**arrays, "map_pages": arrays["map_pages"][:9]}))
    with pytest.raises(ArtifactError, match="collapses"):
        CharacterMap(VocabularyFile({"characters": {}}, arrays))
