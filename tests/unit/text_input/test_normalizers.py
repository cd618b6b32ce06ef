"""Normalizers in a graph, against those that they mirror."""

from __future__ import annotations

import json
from functools import cache
from itertools import product
from random import Random
from typing import Any

import pytest
from tokenizers import normalizers

from portvec_export._text_input.errors import NotExpressible
from portvec_export._text_input.normalization.canonical_order import add_canonical_order, find_classes
from portvec_export._text_input.normalization.normalizers import add_normalizer
from random_texts import random_texts
from text_graphs import EVERY_CODE, TextGraph
from texts import ADVERSARIAL

# Whether it cleans, handles Chinese characters, strips accents, and lowers case.
FLAGS = [
    *product((True,), (True,), (None, True, False), (True, False)),
    (True, False, None, True),
    (False, True, False, True),
    (False, False, True, False),
    (False, False, None, False),
]
STEPS: dict[str, Any] = {
    **{"Bert, {}, {}, {}, {}".format(*flags): normalizers.BertNormalizer(*flags) for flags in FLAGS},
    "Lowercase": normalizers.Lowercase(),
    "StripAccents": normalizers.StripAccents(),
    "Nmt": normalizers.Nmt(),
    "Nmt, Lowercase, StripAccents": normalizers.Sequence(
        [normalizers.Nmt(), normalizers.Lowercase(), normalizers.StripAccents()]
    ),
    "Bert, Bert, Lowercase": normalizers.Sequence(
        [
            normalizers.BertNormalizer(False, True, True, False),
            normalizers.BertNormalizer(True, False, False, False),
            normalizers.Lowercase(),
        ]
    ),
}
ACCENTS = "Bert, True, True, None, True"


@cache
def graph_of(name: str) -> TextGraph:
    state = json.loads(STEPS[name].__getstate__())
    return TextGraph(lambda graph, characters: add_normalizer(graph, characters, state))


def check(name: str, texts: list[str], *, all_levels: bool = True) -> None:
    normalize = STEPS[name].normalize_str
    found = graph_of(name).characters(texts, all_levels=all_levels)
    assert found == [[normalized] if (normalized := normalize(text)) else [] for text in texts]


@pytest.mark.parametrize("name", STEPS)
def test_texts(name: str) -> None:
    for text in ("", "a", "\u00c5\u4e00\0", "\u302f\u302e"):
        check(name, [text])
    for seed in (1, 2):
        check(name, [*ADVERSARIAL, *random_texts(Random(seed), [], 300)])
    check(name, ["a", "", "\U0001d16f\U0001d15e\u0301\U0001d16d", "b\u0301"])


@pytest.mark.parametrize("name", [ACCENTS, "Nmt, Lowercase, StripAccents"])
def test_every_code_point(name: str) -> None:
    check(name, [f"{chr(code)}A" for code in EVERY_CODE], all_levels=False)


@pytest.mark.parametrize("name", [ACCENTS, "Bert, False, False, True, False"])
def test_marks_that_change_places(name: str) -> None:
    random = Random(name)
    marks = "\u302e\u302f\U00016ff0\U0001d165\U0001d16d\U0001d16e\U0001d15e\U0001d160\U0001d1bc"
    others = "aA\u0301\u0334\u0345\u0323\u093c\u034f\u0488\0\ufffd\u4e00 \u00c5\u0344\u1e69"
    texts = ["".join(random.choices(marks + others, k=random.randint(1, 9))) for _ in range(3000)]
    texts += [first + second for first in marks + others for second in marks + others]
    check(name, texts)
    for text in texts[:50]:
        check(name, [text])


def test_canonical_order() -> None:
    decompose = normalizers.NFD().normalize_str
    marks = [chr(code) for code in EVERY_CODE if find_classes()[code]]
    random = Random(1)
    texts = ["".join(random.choices([*marks, "a"], k=random.randint(1, 12))) for _ in range(4000)]
    texts += [first + second for first in marks[::9] for second in marks]
    graph = TextGraph(lambda graph, characters: add_canonical_order(graph, characters))
    assert graph.characters(texts) == [[decompose(text)] for text in texts]


def test_no_normalizer() -> None:
    graph = TextGraph(lambda graph, characters: add_normalizer(graph, characters, None))
    assert graph.characters(["aB\u0301", "", "c"]) == [["aB\u0301"], [], ["c"]]


def test_a_step_that_is_not_known() -> None:
    with pytest.raises(NotExpressible, match="step of the type Other"):
        TextGraph(lambda graph, characters: add_normalizer(graph, characters, {"type": "Other"}))
