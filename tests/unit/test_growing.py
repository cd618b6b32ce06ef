"""Which of two encoders is used, and when the faster one is loaded."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from portvec._tokenization.growing import GrowingEncoder
from portvec._vocabulary.token_ids import TokenIds, flatten

LIMIT = 20_000  # characters


class FakeEncoder:
    def __init__(self, name: str, token_id: int) -> None:
        self.name = name
        self._token_id = token_id

    def encode(self, texts: Sequence[str]) -> TokenIds:
        return flatten([[self._token_id] * len(text) for text in texts])


class Loader:
    """Makes the faster encoder, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> FakeEncoder:
        self.calls += 1
        return FakeEncoder("faster", 2)


def test_the_faster_one_takes_over_once_enough_is_encoded() -> None:
    loader = Loader()
    encoder = GrowingEncoder(FakeEncoder("first", 1), loader)
    assert encoder.encode(["ab", "", "c"]).lists() == [[1, 1], [], [1]]
    assert encoder.encode(["x" * (LIMIT - 3)]).ids[0] == 1  # as many as the limit
    assert encoder.encode([]).lists() == []
    assert encoder.encode(["", ""]).lists() == [[], []]
    assert loader.calls == 0
    assert encoder.encode(["a"]).lists() == [[2]]
    assert encoder.encode(["b"]).lists() == [[2]]
    assert loader.calls == 1


def test_characters_of_all_texts_count() -> None:
    encoder = GrowingEncoder(FakeEncoder("first", 1), Loader())
    assert encoder.encode(["x" * 101] * 200).ids[0] == 2


def test_name_is_that_of_the_faster_one() -> None:
    loader = Loader()
    encoder = GrowingEncoder(FakeEncoder("first", 1), loader)
    assert encoder.name == "faster"
    assert encoder.name == "faster"
    assert encoder.encode(["a"]).lists() == [[2]]
    assert loader.calls == 1


def test_what_is_no_longer_needed_is_freed() -> None:
    first, loader = FakeEncoder("first", 1), Loader()
    encoder = GrowingEncoder(first, loader)
    references: list[weakref.ref[Any]] = [weakref.ref(first), weakref.ref(loader)]
    del first, loader
    assert encoder.name == "faster"
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_an_error_while_loading_is_not_the_end() -> None:
    loader = Loader()
    failures = [MemoryError("too large")]

    def load() -> FakeEncoder:
        if failures:
            raise failures.pop()
        return loader()

    encoder = GrowingEncoder(FakeEncoder("first", 1), load)
    with pytest.raises(MemoryError):
        encoder.encode(["x" * (LIMIT + 1)])
    assert encoder.encode(["a"]).lists() == [[2]]


def test_many_texts_wait_for_the_thread_that_loads() -> None:
    begun = threading.Event()

    def load() -> FakeEncoder:
        begun.set()
        time.sleep(0.2)  # long enough for the other thread to wait
        return FakeEncoder("faster", 2)

    encoder = GrowingEncoder(FakeEncoder("first", 1), load)
    many = ["x" * (LIMIT + 1)]
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(encoder.encode, many)
        assert begun.wait(10)
        assert encoder.encode(many).ids[0] == 2
        assert loading.result().ids[0] == 2


def test_threads_load_once_and_use_the_first_meanwhile() -> None:
    loader = Loader()
    barrier = threading.Barrier(8)
    others = threading.Event()
    ids: list[int] = []

    def load() -> FakeEncoder:
        assert others.wait(10)
        return loader()

    encoder = GrowingEncoder(FakeEncoder("first", 1), load)
    encoder.encode(["x" * LIMIT])

    def encode(_: int) -> None:
        barrier.wait(10)
        ids.append(encoder.encode(["y"]).ids[-1])
        if len(ids) == 7:
            others.set()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(encode, range(8)))
    assert ids == [1] * 7 + [2]
    assert loader.calls == 1
    assert encoder.encode(["a"]).lists() == [[2]]


def test_a_signal_handler_in_the_thread_that_loads_uses_the_first() -> None:
    inside: list[list[list[int]]] = []

    def load() -> FakeEncoder:  # as if a handler ran here
        inside.append(encoder.encode(["ab"]).lists())
        inside.append(encoder.encode(["x" * (LIMIT + 1)]).lists())
        return FakeEncoder(encoder.name, 2)

    encoder = GrowingEncoder(FakeEncoder("first", 1), load)
    assert encoder.encode(["x" * (LIMIT + 1)]).ids[0] == 2
    assert inside == [[[1, 1]], [[1] * (LIMIT + 1)]]
    assert encoder.name == "first"  # what the handler was told
