"""Unigram in a graph, against the model of `tokenizers`."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import Unigram

from flat_texts import feed_words, id_outputs, read_ids, run_all, word_inputs
from portvec_export._onnx.builder import Graph
from portvec_export._text_input.arrays.flat import OPSET
from portvec_export._text_input.errors import NotExpressible
from portvec_export._text_input.models.model import add_model
from random_vocabularies import make

Batch = Sequence[Sequence[str | int]]


def graph_of(tokenizer: Tokenizer) -> Graph:
    graph = Graph(OPSET)
    return id_outputs(graph, add_model(graph, word_inputs(graph), tokenizer))


def expect(model: Any, batch: Batch) -> list[list[int]]:
    def tokens(word: str | int) -> list[int]:
        return [word] if isinstance(word, int) else [token.id for token in model.tokenize(word)]

    return [[token for word in text for token in tokens(word)] for text in batch]


def check(tokenizer: Tokenizer, batches: Sequence[Batch]) -> None:
    results = run_all(graph_of(tokenizer), [feed_words(batch) for batch in batches])
    for batch, outputs in zip(batches, results, strict=True):
        assert read_ids(outputs, len(batch)) == expect(tokenizer.model, batch)


@pytest.mark.parametrize("seed", range(40))
def test_random_models(seed: int) -> None:
    """With tied scores, sums that round, unknown characters, tokens for bytes, duplicates, odd pieces."""
    tokenizer, source = make("Unigram", seed)
    generator = random.Random(seed)
    words = [*source.words(400), "<unk>" * 3, "x" * 40, "x<unk>y"]
    mixed: Batch = [
        [
            *generator.choices(words, k=generator.randint(0, 6)),
            *generator.choices([0, 1, 7, 10**6], k=seed % 3),
        ]
        for _ in range(200)
    ]
    check(tokenizer, [mixed, [[]], [[], [], words[:1]], mixed[:3], [["".join(words[:50])], [3]]])


def with_pieces(pieces: dict[str, float], *, byte_fallback: bool = False) -> Tokenizer:
    return Tokenizer(Unigram([("<unk>", 0.0), *pieces.items()], 0, byte_fallback))


def test_sums_are_added_from_the_left() -> None:
    """Both ways to write the word have the same scores, whose sums differ in the last bit."""
    tokenizer = with_pieces({"a": -0.1, "bc": -0.2, "d": -0.3, "ab": -0.3, "cd": -0.3, "b": -0.2, "c": -0.1})
    words = ["".join(random.Random(seed).choices("abcd", k=12)) for seed in range(300)]
    check(tokenizer, [[words], [words[:1]]])


def test_long_pieces_and_long_words() -> None:
    pieces = {"a" * length: -1.0 - length / 7 for length in (1, 2, 3, 50, 120)} | {"b": -2.0}
    words = ["a" * 119, "a" * 120, "a" * 121, "ab" * 4000 + "a" * 3000, "b" * 1000 + "c" * 1000, "b"]
    check(with_pieces(pieces), [[words], [words[-1:]], [["a"], words[:3]]])


def test_the_longest_word_of_each_length() -> None:
    """Words are searched in blocks of columns. If there are many words, the first blocks end here."""
    many = ["b"] * 300
    words = ["ab" * length for length in range(1, 20)] + [
        "a" * length for length in (7, 8, 9, 15, 16, 17, 33)
    ]
    tokenizer = with_pieces({"a": -1.0, "b": -1.0, "ab": -1.5, "ba": -1.4, "aba": -2.5})
    check(tokenizer, [*([[word], many] for word in words), [words], [words, many]])


def test_bytes_of_every_length() -> None:
    spelled = {f"<0x{byte:02X}>": -5.0 for byte in range(256)}
    words = ["a\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff\0", "\u0800a\u07ff", "aéa", "é", "<0xC3>é"]
    check(with_pieces({"a": -1.0} | spelled, byte_fallback=True), [[words], [["a"]]])
    del spelled["<0xC3>"]
    check(with_pieces({"a": -1.0} | spelled, byte_fallback=True), [[words], [["a"]]])


def test_an_unknown_run_that_is_a_piece() -> None:
    """No edge is that of a piece whose score is far too low, but a run is looked up."""
    pieces = {"a": 100.0, "xyz": 50.0, "xy": 49.0}
    words = ["xyz", "xy", "xyzx", "axyza", "x", "xyxyz"]
    check(with_pieces(pieces), [[words]])
    assert expect(with_pieces(pieces).model, [["x"]]) == [[0]]


@pytest.mark.parametrize("byte_fallback", [False, True])
def test_without_an_unknown_token_there_is_no_graph(byte_fallback: bool) -> None:
    model = Unigram([("a", 0.0)], None, byte_fallback)
    with pytest.raises(NotExpressible, match="its Unigram has no unknown token"):
        graph_of(Tokenizer(model))
