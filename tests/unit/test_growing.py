"""Starting with one encoder and going on with another."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from portvec._tokenization.growing import _FIRST_CHARACTERS, GrowingEncoder
from portvec._tokenization.token_ids import TokenIds, flatten


class Fixed:
    def __init__(self, name: str) -> None:
        self.name = name
        self.texts = 0

    def encode(self, texts: Sequence[str]) -> TokenIds:
        self.texts += len(texts)
        return flatten([[1]] * len(texts))


def growing() -> tuple[GrowingEncoder, Fixed, list[Fixed]]:
    first, loaded = Fixed("first"), []

    def load() -> Fixed:
        loaded.append(Fixed("faster"))
        return loaded[-1]

    return GrowingEncoder(first, load), first, loaded


def test_few_characters_stay_with_the_first() -> None:
    encoder, first, loaded = growing()
    encoder.encode(["x" * (_FIRST_CHARACTERS // 2)])
    encoder.encode(["x" * (_FIRST_CHARACTERS // 2)])
    assert (first.texts, loaded) == (2, [])


def test_many_characters_load_the_faster_once() -> None:
    encoder, first, loaded = growing()
    for _ in range(3):
        encoder.encode(["x" * (_FIRST_CHARACTERS + 1)])
    assert first.texts == 0
    assert [each.texts for each in loaded] == [3]


def test_the_name_is_that_of_the_faster() -> None:
    encoder, _, loaded = growing()
    assert encoder.name == encoder.name == "faster"
    assert len(loaded) == 1


def test_threads_load_it_once() -> None:
    encoder, _, loaded = growing()
    with ThreadPoolExecutor(8) as executor:
        list(executor.map(encoder.encode, [["x" * _FIRST_CHARACTERS]] * 50))
    assert len(loaded) == 1
