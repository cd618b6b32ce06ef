"""The patterns of byte-level models in a graph, against Split of tokenizers."""

from __future__ import annotations

from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest
from tokenizers import Regex, pre_tokenizers

from flat_texts import run_all
from portvec_export._onnx.builder import Graph
from portvec_export._text_input.arrays.flat import END, OPSET, Characters
from portvec_export._text_input.errors import NotExpressible
from portvec_export._text_input.pre_tokenization.pre_tokenizers import add_pre_tokenizer
from portvec_export._text_input.pre_tokenization.split_patterns import GPT2, PATTERNS
from random_texts import random_texts
from text_graphs import EVERY_CODE, TextGraph
from texts import ADVERSARIAL

# What begins or ends pieces, and marks, which some patterns take for letters.
HARD = "''  \t\n\r\nstLlvE11!.é\u0301\u0301\u3000\u2028\x85\u017f日²"
EACH = pytest.mark.parametrize("pattern", [*PATTERNS, GPT2], ids=["gpt4", "llama3", "qwen2", "marks", "gpt2"])
LLAMA3, QWEN2 = list(PATTERNS)[1:3]


def state(pattern: str, behavior: str = "Isolated", *, invert: bool = False) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def splitter(step: dict[str, Any]) -> TextGraph:
    return TextGraph(lambda graph, characters: add_pre_tokenizer(graph, characters, step))


def expected(pattern: str, text: str) -> list[str]:
    return [piece for piece, _ in pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str(text)]


def test_the_patterns_are_those_of_known_models() -> None:
    # As written in the tokenizer.json of Llama 3 and Qwen 2.
    assert LLAMA3 == (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    assert LLAMA3.replace("{1,3}", "") == QWEN2


@EACH
def test_texts(pattern: str) -> None:
    random = Random(0)
    texts = [*ADVERSARIAL, *random_texts(random, [], 300), "", " ", "\n"]
    texts += ["".join(random.choices(HARD, k=random.randint(1, 15))) for _ in range(1500)]
    texts += ["".join(each) for each in product("' \n\tL1!", repeat=4)]
    assert splitter(state(pattern)).words(texts) == [expected(pattern, text) for text in texts]


@pytest.mark.parametrize("pattern", [LLAMA3, list(PATTERNS)[3]], ids=["letters", "marks"])
def test_every_character(pattern: str) -> None:
    codes = [code for code in EVERY_CODE if code < 0x20000 or code % 61 == 0 or 0xE0000 <= code < 0xE0200]
    size = 300
    parts = [codes[start : start + size] for start in range(0, len(codes), size)]
    texts = [" a".join(f"1{character}!{character}'s" for character in map(chr, part)) for part in parts]
    graph = splitter(state(pattern))
    assert graph.words(texts, all_levels=False) == [expected(pattern, text) for text in texts]


@EACH
def test_added_tokens_bound_what_is_split(pattern: str) -> None:
    # What stands between two tokens is a text of its own.
    random = Random(1)
    parts = ["".join(random.choices(HARD, k=random.randint(1, 6))) for _ in range(500)]
    codes = [code for part in parts for code in (*map(ord, part), -8)]
    feed: dict[str, np.ndarray] = {
        "codes": np.array([*codes, END], np.int32),
        "texts": np.array([*[0] * len(codes), 1], np.int64),
    }
    graph = Graph(OPSET)
    inputs = Characters(
        graph.input("codes", np.int32, ["characters"]), graph.input("texts", np.int64, ["characters"])
    )
    words = add_pre_tokenizer(graph, inputs, state(pattern))
    graph.output("words", graph.identity(words.words), np.int64, [None])
    ((numbers,),) = run_all(graph, [feed])
    lengths = [length for part in parts for length in (*map(len, expected(pattern, part)), 1)]
    assert np.bincount(numbers).tolist() == [*lengths, 1]


@pytest.mark.parametrize(
    ("behavior", "invert"), [("Isolated", True), ("Removed", True), ("Removed", False), ("Contiguous", False)]
)
def test_what_happens_to_matches(behavior: str, invert: bool) -> None:
    step = state(LLAMA3, behavior, invert=invert)
    if (behavior, invert) in (("Isolated", True), ("Removed", True)):
        split = pre_tokenizers.Split(Regex(LLAMA3), behavior.lower(), invert=invert)
        text = "It's  1234 lines!\n\n Or 5 "
        assert splitter(step).words([text]) == [[piece for piece, _ in split.pre_tokenize_str(text)]]
    else:
        with pytest.raises(NotExpressible, match="splits at the pattern"):
            splitter(step)


def test_other_patterns_are_refused() -> None:
    with pytest.raises(NotExpressible, match="splits at the pattern"):
        splitter(state(LLAMA3.replace("{1,3}", "{1,2}")))
