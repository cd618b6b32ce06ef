"""Added tokens that are written in a text, against `tokenizers`."""

from __future__ import annotations

import json
from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers

from portvec._inference.onnxruntime import onnxruntime as ort
from portvec._tokenization.library import read_parts
from portvec_export._onnx.builder import Graph
from portvec_export._text_input.added_tokens import add_added_tokens
from portvec_export._text_input.arrays.chains import follow_chain
from portvec_export._text_input.arrays.flat import OPSET, Characters
from portvec_export._text_input.errors import NotExpressible
from portvec_export._text_input.normalization.normalizers import add_normalizer
from random_texts import random_texts
from text_graphs import TextGraph
from texts import ADVERSARIAL

BERT = normalizers.BertNormalizer()
# Characters that may be written in tokens: letters, those that are changed, dropped or split, white space.
ALPHABET = "aaAb<>[]_ \t\u3000\u00c9\u0301\u4e00\0\u0663."


def make(tokens: list[AddedToken], texts: list[str], normalizer: Any = None) -> Tokenizer:
    """Return a tokenizer whose model gives an id for each character of these texts and tokens."""
    every = "".join([*texts, *(token.content for token in tokens), ALPHABET])
    characters = set(every) | set(normalizer.normalize_str(every) if normalizer else "")
    numbers = {character: number for number, character in enumerate(sorted(characters))}
    tokenizer = Tokenizer(models.BPE(numbers, []))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.add_tokens(tokens)
    return tokenizer


def check(tokenizer: Tokenizer, texts: list[str]) -> TextGraph:
    parts = read_parts(tokenizer)

    def build(graph: Graph, characters: Characters) -> Characters:
        characters = add_added_tokens(graph, characters, parts, normalized=False)
        characters = add_normalizer(graph, characters, parts["normalizer"])
        return add_added_tokens(graph, characters, parts, normalized=True)

    graph = TextGraph(build)
    vocabulary = json.loads(tokenizer.to_str())["model"]["vocab"]
    for batch in (texts, texts[::-1], texts[:1], texts[-1:]):
        found = []
        for pieces in graph.characters(batch):
            ids: list[int] = []
            for piece in pieces:
                ids += [-1 - piece] if isinstance(piece, int) else [vocabulary[each] for each in piece]
            found.append(ids)
        assert found == [encoding.ids for encoding in tokenizer.encode_batch(batch, add_special_tokens=False)]
    return graph


def random_token(random: Random, content: str, *, flags: bool) -> AddedToken:
    chosen = {name: flags and random.random() < 0.4 for name in ("lstrip", "rstrip", "single_word")}
    return AddedToken(content, normalized=random.random() < 0.5, **chosen)


@pytest.mark.parametrize(
    ("flags", "normalizer"),
    [*product((False, True), (None, BERT, normalizers.Lowercase()))],
    ids=lambda each: str(each).split("(")[0],
)
def test_random_tokens(flags: bool, normalizer: Any) -> None:
    random = Random(f"{flags}{normalizer}")
    checked = 0
    for _ in range(12):
        alphabet = random.choice([ALPHABET, "ab", "a ", "a b<"])
        contents = {
            "".join(random.choices(alphabet, k=random.randint(1, 4)))
            for _ in range(random.choice([1, 3, 12]))
        }
        tokens = [random_token(random, content, flags=flags) for content in sorted(contents)]
        units = [*alphabet, *contents, *contents]
        texts = ["".join(random.choices(units, k=random.randint(0, 9))) for _ in range(150)]
        try:
            check(make(tokens, texts, normalizer), texts)
        except NotExpressible:
            continue
        checked += 1
    assert checked >= 4


def test_texts() -> None:
    tokens = [
        AddedToken(content, normalized=False) for content in ("[UNK]", "[CLS]", "[PAD]", "<s>", "<pad>")
    ]
    tokens += [AddedToken("<mask>", lstrip=True, normalized=False), AddedToken("The", normalized=True)]
    contents = [token.content for token in tokens]
    texts = [*ADVERSARIAL, *random_texts(Random(1), contents, 500), "<mask>", " <mask>", "a  <mask> <mask>"]
    check(make(tokens, texts, BERT), texts)


def test_many_first_characters() -> None:
    tokens = [AddedToken(chr(0x61 + n) * 2, normalized=False) for n in range(26)]
    texts = ["aabbcc", "abcaad", "", "zz", "zzz", "ab"]
    check(make(tokens, texts), texts)


def test_long_runs() -> None:
    """A chain of many tokens that overlap, and long tokens."""
    tokens = [AddedToken(content, normalized=False) for content in ("aa", "aaaa", "b" * 300, "bb")]
    texts = ["a" * 999, "ab" * 99, "b" * 299, "b" * 301, "b" * 650, "", "a"]
    check(make(tokens, texts), texts)


def test_tokens_that_nothing_reproduces() -> None:
    tokens = [AddedToken("A", normalized=True), AddedToken("a", normalized=True)]
    with pytest.raises(NotExpressible, match="the same once they are normalized"):
        check(make(tokens, ["a"], BERT), ["a"])
    tokens = [AddedToken("a", normalized=False, rstrip=True), AddedToken(" b", normalized=False)]
    with pytest.raises(NotExpressible, match="white space after it that may begin another"):
        check(make(tokens, ["a"]), ["a"])


@pytest.mark.parametrize("size", [0, 1, 2, 3, 17, 300])
def test_chains(size: int) -> None:
    random = Random(size)
    graph = Graph(OPSET)
    following = graph.input("following", np.int64, ["n"])
    graph.output("on_chain", follow_chain(graph, following), np.bool_, ["n"])
    session = ort.InferenceSession(graph.to_model().SerializeToString())
    for reach in (1, 2, 50):
        links = [min(size, place + random.randint(1, reach)) for place in range(size)]
        place, expected = 0, [False] * size
        while place < size:
            expected[place] = True
            place = links[place]
        found = session.run(None, {"following": np.array(links, np.int64)})[0]
        assert found.tolist() == expected
