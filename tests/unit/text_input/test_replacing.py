"""Replace, Strip and Prepend in a graph, against the normalizers that they mirror."""

from __future__ import annotations

import json
import string
from functools import cache
from random import Random
from typing import Any

import pytest
from tokenizers import Regex, normalizers
from tokenizers.normalizers import NFC, NFKD, Lowercase, Prepend, Replace, Strip, StripAccents

from portvec_export._text_input.errors import NotExpressible
from portvec_export._text_input.normalization.normalizers import add_normalizer
from random_texts import random_texts
from text_graphs import EVERY_CODE, TextGraph
from texts import ADVERSARIAL

# What model2vec puts after the normalizer of a teacher
SPACED = [Replace(each, f" {each} ") for each in string.punctuation]
STEPS: dict[str, list[Any]] = {
    "two spaces": [Replace(Regex(" {2,}"), " ")],
    "two spaces, mark": [Replace(Regex(" {2,}"), "\u2581")],
    "three of white space": [Replace(Regex("\\s{3,}"), "ab")],
    "two spaces, nothing": [Replace(Regex(" {2,}"), "")],
    "class": [Replace(Regex("[a-b\\d]+"), "XY")],
    "property": [Replace(Regex("\\p{L}+"), "w")],
    "no letter": [Replace(Regex("[^a-z ]"), "_")],
    "characters": [Replace("a", "bb"), Replace("b", ""), Replace("'", "a b")],
    "quotes": [Replace("``", '"'), Replace("''", "")],
    "a word": [Replace("ab", "xyz"), Replace("x b", "")],
    "three of a letter": [Replace("aaa", "aa")],
    "left": [Strip(left=True, right=False)],
    "right": [Strip(left=False, right=True)],
    "both": [Strip()],
    "neither": [Strip(left=False, right=False)],
    "prepend": [Prepend("a b"), Prepend("\u2581"), Prepend("")],
    "llama": [Prepend("\u2581"), Replace(" ", "\u2581")],
    "clip": [NFC(), Replace(Regex("\\s+"), " "), Lowercase()],
    "model2vec": [Lowercase(), *SPACED, Replace(Regex("\\s+"), " "), Strip(left=False, right=True)],
    "albert": [Replace("``", '"'), Replace("''", '"'), NFKD(), StripAccents(), Lowercase()],
}
CHARACTERS = [*"ab`'\n\t 1xA", *"    ", "``", "''", "\u3000", "\x85", "\u2581", "\u00e9", "\u200b", "\u1c80"]


@cache
def graph_of(name: str) -> TextGraph:
    state = json.loads(normalizers.Sequence(STEPS[name]).__getstate__())
    return TextGraph(lambda graph, characters: add_normalizer(graph, characters, state))


def check(name: str, texts: list[str], *, all_levels: bool = True) -> None:
    normalize = normalizers.Sequence(STEPS[name]).normalize_str
    found = graph_of(name).characters(texts, all_levels=all_levels)
    assert found == [[normalized] if (normalized := normalize(text)) else [] for text in texts]


@pytest.mark.parametrize("name", STEPS)
def test_texts(name: str) -> None:
    random = Random(name)
    check(name, [*ADVERSARIAL, *random_texts(random, [], 300)])
    check(name, ["".join(random.choices(CHARACTERS, k=random.randrange(14))) for _ in range(3000)])
    check(name, ["".join(random.choices("ab '`", k=random.randrange(9))) for _ in range(2000)])
    for text in ("", "a", " ", "  ", "''", "aaaaa"):
        check(name, [text])
        check(name, [" ", text, "", text, " a"])


@pytest.mark.parametrize("name", ["both", "three of white space", "property", "model2vec"])
def test_every_code_point(name: str) -> None:
    codes = [code for code in EVERY_CODE if code < 0x20000]
    check(name, [f"{chr(code)}a {chr(code)}" for code in codes[:0x3000]], all_levels=False)
    runs = [codes[start : start + 256] for start in range(0, len(codes), 256)]
    check(name, ["a".join(map(chr, run)) for run in runs], all_levels=False)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("", "the empty text"),
        ("aba", "'aba', which can overlap with itself"),
        (Regex("^a"), r"the regular expression '\^a'"),
        (Regex("a(?=b)"), "the regular expression"),
        (Regex("a*"), "the regular expression"),
        (Regex("a{0,}"), "the regular expression"),
        (Regex("a+?"), "the regular expression"),
    ],
)
def test_patterns_that_a_graph_cannot_look_for(pattern: Any, reason: str) -> None:
    if isinstance(pattern, str):
        state = {"type": "Replace", "pattern": {"String": pattern}, "content": "x"}
    else:
        state = json.loads(Replace(pattern, "x").__getstate__())
    with pytest.raises(NotExpressible, match=f"its normalizer replaces {reason}"):
        TextGraph(lambda graph, characters: add_normalizer(graph, characters, state))
