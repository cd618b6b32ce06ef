"""Normal forms and charsmaps in a graph, against the normalizers that they mirror."""

from __future__ import annotations

import json
from functools import cache
from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest
from tokenizers import normalizers

from portvec_export._text_input.normalization.canonical_order import find_classes
from portvec_export._text_input.normalization.compositions import find_pairs
from portvec_export._text_input.normalization.normalizers import add_normalizer
from random_texts import random_texts
from text_graphs import EVERY_CODE, TextGraph
from texts import ADVERSARIAL, scripts

FORMS: dict[str, Any] = {
    "NFC": normalizers.NFC(),
    "NFD": normalizers.NFD(),
    "NFKC": normalizers.NFKC(),
    "NFKD": normalizers.NFKD(),
    "NFD, NFKC, NFC, NFKC": normalizers.Sequence(
        [normalizers.NFD(), normalizers.NFKC(), normalizers.NFC(), normalizers.NFKC()]
    ),
}
MARKS = [chr(code) for code in np.flatnonzero(find_classes()).tolist()]
FIRSTS = [chr(code) for code in np.flatnonzero(find_pairs().facts >> 16).tolist()]
SECONDS = [chr(code) for code in np.flatnonzero(find_pairs().facts >> 8 & 255).tolist()]
JAMO = [chr(code) for code in [*range(0x1100, 0x1200), 0xAC00, 0xAC01, 0xD7A3, 0xD7B0]]
OTHERS = ["a", "q", " ", "\0", "\u00e9", "\ufb01", "\u0344", "\u0958", "\ufdfa", "\U0001d15e", "\u1e9b"]


@cache
def graph_of(name: str) -> TextGraph:
    state = json.loads(FORMS[name].__getstate__())
    return TextGraph(lambda graph, characters: add_normalizer(graph, characters, state))


def check(name: str, texts: list[str], *, all_levels: bool = True) -> None:
    normalize = FORMS[name].normalize_str
    found = graph_of(name).characters(texts, all_levels=all_levels)
    assert found == [[normalized] if (normalized := normalize(text)) else [] for text in texts]


@pytest.mark.parametrize("name", FORMS)
def test_texts(name: str) -> None:
    check(name, [*ADVERSARIAL, *scripts(), *random_texts(Random(name), [], 500)])
    for text in ("", "a", "\u0301", "e\u0301", "\u1100\u1161\u11a8", "\u0323\u0301\u0323" * 500):
        check(name, [text])
        check(name, ["b", text, "", text])


@pytest.mark.parametrize("name", ["NFC", "NFKD"])
def test_every_code_point(name: str) -> None:
    texts = [f"a{chr(code)}\u0301" for code in EVERY_CODE]
    check(
        name, ["".join(texts[start : start + 256]) for start in range(0, len(texts), 256)], all_levels=False
    )


@pytest.mark.parametrize("name", FORMS)
def test_hard_characters_beside_each_other(name: str) -> None:
    random = Random(name)
    groups = [MARKS, SECONDS, FIRSTS, JAMO, OTHERS]
    check(name, ["".join(_draw(random, groups, random.randint(1, 12))) for _ in range(10_000)])
    hard = [*_draw(random, groups, 60), "\u0345", "\u0334", "\u1100", "\u1161"]
    check(name, ["".join(pair) for pair in product(hard, hard)])


def test_every_composition() -> None:
    check("NFC", [first + second for first in FIRSTS for second in SECONDS[::3]], all_levels=False)


def _draw(random: Random, groups: list[list[str]], number: int) -> list[str]:
    return [random.choice(random.choice(groups)) for _ in range(number)]
