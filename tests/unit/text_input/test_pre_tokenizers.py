"""Pre-tokenizers in a graph, against those that they mirror."""

from __future__ import annotations

import json
from functools import cache
from random import Random
from typing import Any

import pytest
from tokenizers import Regex, pre_tokenizers

from portvec_export._onnx.builder import Graph
from portvec_export._text_input.arrays.flat import Characters, Words
from portvec_export._text_input.errors import NotExpressible
from portvec_export._text_input.pre_tokenization.pre_tokenizers import add_pre_tokenizer
from random_texts import random_texts
from text_graphs import EVERY_CODE, TextGraph
from texts import ADVERSARIAL

BEHAVIORS = ["isolated", "contiguous", "removed", "merged_with_previous", "merged_with_next"]
STEPS: dict[str, Any] = {
    "Bert": pre_tokenizers.BertPreTokenizer(),
    "Whitespace": pre_tokenizers.Whitespace(),
    "WhitespaceSplit": pre_tokenizers.WhitespaceSplit(),
    "Digits": pre_tokenizers.Digits(False),
    "Digits, individual": pre_tokenizers.Digits(True),
    "CharDelimiterSplit": pre_tokenizers.CharDelimiterSplit("a"),
    **{f"Punctuation, {behavior}": pre_tokenizers.Punctuation(behavior) for behavior in BEHAVIORS},
    **{f"Split, {behavior}": pre_tokenizers.Split(" ", behavior) for behavior in BEHAVIORS},
    "WhitespaceSplit, Digits, Punctuation": pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Digits(True),
            pre_tokenizers.Punctuation("merged_with_previous"),
        ]
    ),
    "Punctuation, Bert": pre_tokenizers.Sequence(
        [pre_tokenizers.Punctuation("merged_with_next"), pre_tokenizers.BertPreTokenizer()]
    ),
}


def graph_with(state: Any) -> TextGraph:
    def build(graph: Graph, characters: Characters) -> Words:
        return add_pre_tokenizer(graph, characters, state)

    return TextGraph(build)


@cache
def graph_of(name: str) -> TextGraph:
    return graph_with(json.loads(STEPS[name].__getstate__()))


def check(name: str, texts: list[str], *, all_levels: bool = True) -> None:
    split = STEPS[name].pre_tokenize_str
    found = graph_of(name).words(texts, all_levels=all_levels)
    assert found == [[word for word, _ in split(text)] for text in texts]


@pytest.mark.parametrize("name", STEPS)
def test_texts(name: str) -> None:
    for text in ("", "a", " ", "a. ", " .a"):
        check(name, [text])
    for seed in (1, 2):
        check(name, [*ADVERSARIAL, *random_texts(Random(seed), [], 500)])
    letters = " \u3000\x85\x1c.,\u2014$_aA1\u0663\u00b2\u4e00\u0301\u200d"
    check(name, ["".join(Random(n).choices(letters, k=n % 8)) for n in range(2000)])
    check(name, ["", " ", "", "a b", "", "."])


@pytest.mark.parametrize("name", ["Bert", "Whitespace"])
def test_every_code_point(name: str) -> None:
    every = list(map(chr, EVERY_CODE))
    texts = [".".join(f"{c}a" for c in every[at : at + 512]) for at in range(0, len(every), 512)]
    check(name, texts, all_levels=False)


def test_no_pre_tokenizer() -> None:
    assert graph_with(None).words(["a b.", "", "c"]) == [["a b."], [], ["c"]]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (pre_tokenizers.UnicodeScripts(), "step of the type UnicodeScripts"),
        (pre_tokenizers.Split("ab", "removed"), "splits at the pattern {'String': 'ab'}"),
        (pre_tokenizers.Split(Regex("a"), "removed"), "splits at the pattern {'Regex': 'a'}"),
        (pre_tokenizers.Split("a", "removed", invert=True), "splits at the pattern"),
    ],
)
def test_steps_that_are_refused(step: Any, message: str) -> None:
    with pytest.raises(NotExpressible, match=message):
        graph_with(json.loads(step.__getstate__()))
