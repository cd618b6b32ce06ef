"""WordPiece and WordLevel in a graph, against the models of `tokenizers`."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel, WordPiece

from flat_texts import feed_words, id_outputs, read_ids, run_all, word_inputs
from portvec_export._onnx.builder import Graph
from portvec_export._text_input.arrays.flat import OPSET
from portvec_export._text_input.errors import NotExpressible
from portvec_export._text_input.models.model import add_model

ALPHABET = ["a", "b", "c", "#", "##", "\0", "\u00e9", "\U0001f600", "q"]


def random_words(generator: random.Random, count: int, longest: int) -> list[str]:
    return ["".join(generator.choices(ALPHABET, k=generator.randint(1, longest))) for _ in range(count)]


def vocabulary(generator: random.Random, prefix: str = "") -> dict[str, int]:
    pieces = ["[UNK]", "a", "b", f"{prefix}a", f"{prefix}b", f"{prefix}\0", *random_words(generator, 40, 4)]
    pieces += [prefix + word for word in random_words(generator, 40, 4)]
    pieces += ["abcabcabcabcabcabcabc"]
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}


def graph_of(model: Any) -> Graph:
    graph = Graph(OPSET)
    return id_outputs(graph, add_model(graph, word_inputs(graph), Tokenizer(model)))


def check(model: Any, batches: list[list[list[str | int]]]) -> None:
    results = run_all(graph_of(model), [feed_words(batch) for batch in batches])
    for batch, outputs in zip(batches, results, strict=True):
        expected = [
            [
                token
                for word in text
                for token in ([word] if isinstance(word, int) else (t.id for t in model.tokenize(word)))
            ]
            for text in batch
        ]
        assert read_ids(outputs, len(batch)) == expected


def batches_for(generator: random.Random, pieces: dict[str, int]) -> list[list[list[str | int]]]:
    words = [*filter(None, pieces), *random_words(generator, 300, 12)]
    mixed: list[list[str | int]] = [
        generator.choices([*words, 7, 0, 1_000_000], k=generator.randint(0, 6)) for _ in range(200)
    ]
    return [
        mixed,
        [[]],
        [[], [], ["a"]],
        [["a" * 99, "b" * 100], ["a" * 101], [3]],
        [["ab" * 500_000, "a"]],
        [["q"]],
    ]


@pytest.mark.parametrize("prefix", ["##", "", "#", "never there", "a", "\U0001f600"])
@pytest.mark.parametrize("seed", range(3))
def test_wordpiece(prefix: str, seed: int) -> None:
    generator = random.Random(seed)
    pieces = vocabulary(generator, "" if prefix == "never there" else prefix)
    model = WordPiece(
        pieces, unk_token="[UNK]", continuing_subword_prefix=prefix, max_input_chars_per_word=100
    )
    check(model, batches_for(generator, pieces))


@pytest.mark.parametrize("limit", [0, 1, 3, 2**63])
def test_wordpiece_with_another_limit(limit: int) -> None:
    generator = random.Random(limit % 1000)
    pieces = vocabulary(generator, "##")
    model = WordPiece(pieces, unk_token="[UNK]", max_input_chars_per_word=limit)
    check(model, batches_for(generator, pieces)[:4])


@pytest.mark.parametrize("seed", range(3))
def test_wordlevel(seed: int) -> None:
    generator = random.Random(seed)
    pieces = vocabulary(generator)
    check(WordLevel(pieces, unk_token="[UNK]"), batches_for(generator, pieces))


@pytest.mark.parametrize("model", [WordPiece({"a": 0}, unk_token="x"), WordLevel({"a": 0}, unk_token="x")])
def test_without_an_unknown_token_there_is_no_graph(model: Any) -> None:
    with pytest.raises(NotExpressible, match=r"unknown token of its Word\w+ is not in the vocabulary"):
        graph_of(model)
