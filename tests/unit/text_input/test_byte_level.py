"""ByteLevel in a graph, against the pre-tokenizer and the normalizer of tokenizers."""

from __future__ import annotations

from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest
from tokenizers import normalizers, pre_tokenizers

from flat_texts import run_all
from portvec_export._onnx.builder import Graph
from portvec_export._text_input.arrays.flat import END, OPSET, Characters
from portvec_export._text_input.normalization.normalizers import add_normalizer
from portvec_export._text_input.pre_tokenization.pre_tokenizers import add_pre_tokenizer
from random_texts import random_texts
from text_graphs import EVERY_CODE, TextGraph
from texts import ADVERSARIAL

HARD = [
    *"''' \t\nstmdlvreLSx1\u00b2\u00a0\u3000\u0301é日_.",
    "\U0001f600",
    "\0",
    "\u01c5",
    "\u2160",
    "\u2028",
]


def state(**options: bool) -> dict[str, Any]:
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
        **options,
    }


def splitter(**options: bool) -> TextGraph:
    return TextGraph(lambda graph, characters: add_pre_tokenizer(graph, characters, state(**options)))


def expected(text: str, **options: bool) -> list[str]:
    kwargs = {key: value for key, value in state(**options).items() if key != "type"}
    return [piece for piece, _ in pre_tokenizers.ByteLevel(**kwargs).pre_tokenize_str(text)]


def check(texts: list[str], **options: bool) -> None:
    assert splitter(**options).words(texts) == [expected(text, **options) for text in texts]


@pytest.mark.parametrize("add_prefix_space", [False, True])
@pytest.mark.parametrize("use_regex", [False, True])
def test_random_texts(add_prefix_space: bool, use_regex: bool) -> None:
    random = Random(0)
    texts = [*ADVERSARIAL, *random_texts(random, [], 500), "", " ", "  ", "\n ", "'", "'s", "''s's'll'"]
    texts += ["".join(random.choices(HARD, k=random.randint(1, 12))) for _ in range(2000)]
    check(texts, add_prefix_space=add_prefix_space, use_regex=use_regex)


def test_all_short_texts_of_hard_characters() -> None:
    check(["".join(each) for each in product("' slvex1.\n", repeat=4)])


def test_every_character() -> None:
    # Beyond these, characters are of few kinds. In short texts: tokenizers is slow on long ones.
    codes = [code for code in EVERY_CODE if code < 0x20000 or code % 61 == 0 or 0xE0000 <= code < 0xE0200]
    size = 500
    parts = [codes[start : start + size] for start in range(0, len(codes), size)]
    texts = [" a".join(f"1{character}!{character}'s" for character in map(chr, part)) for part in parts]
    assert splitter().words(texts) == [expected(text) for text in texts]


@pytest.mark.parametrize("add_prefix_space", [False, True])
def test_added_tokens_bound_what_is_split(add_prefix_space: bool) -> None:
    # What stands between tokens: contractions, spaces and their neighbours at the bounds.
    rows: list[list[str | int]] = [
        ["'", 5, "s"],
        ["a ", 5, " ", 6, "  b"],
        [7, 7, "'l", 7, "l"],
        ["é'", 5, "re", 5, "'re"],
        [5],
        [],
    ]
    graph = Graph(OPSET)
    inputs = Characters(
        graph.input("codes", np.int32, ["characters"]), graph.input("texts", np.int64, ["characters"])
    )
    words = add_pre_tokenizer(graph, inputs, state(add_prefix_space=add_prefix_space))
    graph.output("codes_of_words", graph.identity(words.codes), np.int32, [None])
    graph.output("words", graph.identity(words.words), np.int64, [None])
    graph.output("texts_of_words", graph.identity(words.texts), np.int64, [None])
    codes: list[int] = []
    texts: list[int] = []
    want: list[tuple[int, str | int]] = []
    for number, row in enumerate(rows):
        for part in row:
            added = [-1 - part] if isinstance(part, int) else list(map(ord, part))
            pieces = (
                [-1 - part] if isinstance(part, int) else expected(part, add_prefix_space=add_prefix_space)
            )
            codes += added
            texts += [number] * len(added)
            want += [(number, piece) for piece in pieces]
    codes.append(END)
    texts.append(len(rows))
    want.append((len(rows), END))
    feed: dict[str, np.ndarray] = {"codes": np.array(codes, np.int32), "texts": np.array(texts, np.int64)}
    found, numbers, owners = run_all(graph, [feed])[0]
    got = [
        (int(owners[word]), _read(found[numbers == word].tolist())) for word in range(int(numbers[-1]) + 1)
    ]
    assert got == want


def _read(codes: list[int]) -> str | int:
    return codes[0] if codes[0] < 0 else "".join(map(chr, codes))


def test_the_normalizer() -> None:
    normalizer = normalizers.ByteLevel()
    graph = TextGraph(lambda graph, characters: add_normalizer(graph, characters, {"type": "ByteLevel"}))
    every = "".join(map(chr, EVERY_CODE))
    texts = ["", "a b", "é日\U0001f600", every, "\0"]
    want = [[normalizer.normalize_str(text)] if text else [] for text in texts]
    assert graph.characters(texts) == want
    assert graph.characters(["a b"]) == [[normalizer.normalize_str("a b")]]
