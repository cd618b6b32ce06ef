"""Metaspace in a graph, against what `tokenizers` makes of texts with added tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest

from flat_texts import Arrays, run_all
from portvec._tokenization.skeleton import Skeleton
from portvec_export._onnx.builder import Graph
from portvec_export._text_input.arrays.flat import END, OPSET, Characters
from portvec_export._text_input.errors import NotExpressible
from portvec_export._text_input.normalization.normalizers import add_normalizer
from portvec_export._text_input.pre_tokenization.metaspace import check_position
from portvec_export._text_input.pre_tokenization.pre_tokenizers import add_pre_tokenizer
from random_tokenizers import compile_charsmap

Json = Mapping[str, Any]

TOKENS = ["<s>", "<p>"]
CHARACTERS = [*"ab1.    _\n", *TOKENS, "\u2581", "\u0301", "\u00bd", "\u3000", "\U0001f600", "\0"]


def metaspace(scheme: str, split: bool = True, replacement: str = "\u2581") -> Json:
    return {"type": "Metaspace", "replacement": replacement, "prepend_scheme": scheme, "split": split}


def sequence(*steps: Json) -> Json:
    return {"type": "Sequence", "pretokenizers": list(steps)}


def added(content: str, number: int, *, normalized: bool = False) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
    return {"id": number, "content": content, "normalized": normalized, "special": True, **flags}


SPLIT = {"type": "WhitespaceSplit"}
DIGITS = {"type": "Digits", "individual_digits": True}
NFKC = {"type": "NFKC"}
STRIP = {"type": "Strip", "strip_left": False, "strip_right": True}
COLLAPSE = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}
LLAMA = [
    {"type": "Prepend", "prepend": "\u2581"},
    {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
]
NORMALIZERS: list[Json | None] = [
    None,
    NFKC,
    {"type": "Sequence", "normalizers": [NFKC, STRIP, COLLAPSE]},
    {"type": "Sequence", "normalizers": LLAMA},
    # Drops a letter, also the first of a text
    {"type": "Precompiled", "precompiled_charsmap": compile_charsmap(rules={"a": "", "b": "cd"})},
]
PRE_TOKENIZERS = [
    *(metaspace(scheme, split) for scheme in ("always", "first", "never") for split in (True, False)),
    metaspace("always", replacement="_"),
    metaspace("always", replacement=" "),
    metaspace("always", replacement="\U0001f600"),
    sequence(SPLIT, metaspace("always")),
    sequence(SPLIT, metaspace("never", False)),
    sequence(metaspace("first"), metaspace("always", False, "_")),
    sequence(metaspace("never"), DIGITS),
]


def split_in_graph(graph: Graph, batches: Sequence[list[list[str]]]) -> list[list[list[str | int]]]:
    """Return the words of each text of each batch; texts are lists of characters and added tokens."""
    feeds: list[Arrays] = []
    for batch in batches:
        flat = [-1 - TOKENS.index(each) if each in TOKENS else ord(each) for text in batch for each in text]
        texts = np.repeat(np.arange(len(batch) + 1), [*map(len, batch), 1])
        feeds.append({"codes": np.array([*flat, END], np.int32), "texts": texts})
    found = []
    for batch, (codes, words, owners) in zip(batches, run_all(graph, feeds), strict=True):
        assert words[0] == 0
        assert set(np.diff(words).tolist()) <= {0, 1}
        assert (len(owners), owners[-1], codes[-1]) == (words[-1] + 1, len(batch), END)
        bounds = [*np.flatnonzero(np.diff(words, prepend=-1)).tolist(), len(codes)]
        texts_of_batch: list[list[str | int]] = [[] for _ in range(len(batch) + 1)]
        for owner, (start, end) in zip(owners.tolist(), pairwise(bounds), strict=True):
            word = codes[start:end].tolist()
            texts_of_batch[owner].append(word[0] if word[0] < 0 else "".join(map(chr, word)))
        found.append(texts_of_batch[:-1])
    return found


@pytest.mark.parametrize("normalizer", NORMALIZERS, ids=["none", "NFKC", "T5", "Llama", "Precompiled"])
@pytest.mark.parametrize("pre_tokenizer", PRE_TOKENIZERS)
def test_words(normalizer: Json | None, pre_tokenizer: Json) -> None:
    tokens = [added(content, number) for number, content in enumerate(TOKENS)]
    check_position(normalizer, pre_tokenizer, tokens)
    graph = Graph(OPSET)
    characters = Characters(graph.input("codes", np.int32, ["n"]), graph.input("texts", np.int64, ["n"]))
    words = add_pre_tokenizer(graph, add_normalizer(graph, characters, normalizer), pre_tokenizer)
    for number, (value, dtype) in enumerate(
        [(words.codes, np.int32), (words.words, np.int64), (words.texts, np.int64)]
    ):
        graph.output(f"output_{number}", graph.identity(value), dtype, [f"length_{number}"])

    random = Random(1)
    batches = [[random.choices(CHARACTERS, k=random.randrange(12)) for _ in range(n)] for n in (1, 9, 2000)]
    batches += [[[]], [["a"]], [[" "], [], ["<s>"], [*"a b"], ["\u2581", "a"]]]
    skeleton = Skeleton({"normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "added_tokens": tokens})
    for batch, found in zip(batches, split_in_graph(graph, batches), strict=True):
        expected = skeleton.split(["".join(text) for text in batch])
        items = [expected.words[item] if item >= 0 else item for item in expected.items.tolist()]
        assert found == [items[start:end] for start, end in pairwise(expected.offsets.tolist())]


@pytest.mark.parametrize(
    ("normalizer", "pre_tokenizer", "normalized", "reason"),
    [
        (None, sequence(SPLIT, metaspace("first")), False, "follows another pre-tokenizer"),
        ({**STRIP, "strip_left": True}, metaspace("first"), False, "follows a normalizer of the type Strip"),
        ({"type": "Nmt"}, metaspace("first"), False, "follows a normalizer of the type Nmt"),
        ({**COLLAPSE, "content": "x"}, metaspace("first"), False, "follows a normalizer of the type Replace"),
        (NFKC, metaspace("first"), True, "follows tokens that are normalized"),
    ],
)
def test_positions_that_a_graph_does_not_know(
    normalizer: Json | None, pre_tokenizer: Json, normalized: bool, reason: str
) -> None:
    tokens = [added("<s>", 0, normalized=normalized)]
    with pytest.raises(NotExpressible, match=f"its Metaspace with the scheme 'first' {reason}"):
        check_position(normalizer, pre_tokenizer, tokens)
