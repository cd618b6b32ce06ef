"""The hash table of words: collisions, limits, threads, signals and forks."""

from __future__ import annotations

import os
import random
import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Event, Thread

import numpy as np
import pytest

from portvec._tokenization.token_ids import Ids, TokenIds, flatten
from portvec._tokenization.word_table import DEPENDS, LONGEST, WIDTHS, WordTable

SMALL = dict.fromkeys(WIDTHS, 64)


def ids_of(word: bytes) -> list[int]:
    """Return ids that belong to this word only: none, one or several."""
    number = int.from_bytes(word, "little") % 1_000_003
    return [number + 1] * (number % 4)


def add(table: WordTable, words: list[bytes]) -> Ids | None:
    return table.add(words, flatten([ids_of(word) for word in words]))


def find(table: WordTable, words: list[bytes]) -> Ids:
    bounds = np.cumsum([0, *map(len, words)])
    text = b"".join(words) + bytes(LONGEST)
    return table.find(text, bounds[:-1], np.diff(bounds))


def assert_found(table: WordTable, words: list[bytes]) -> None:
    places = find(table, words)
    assert (places != 0).all()
    assert table.gather(places).lists() == [ids_of(word) for word in words]


def random_words(count: int, seed: int = 0) -> list[bytes]:
    rng = random.Random(seed)
    words = {bytes(rng.choices(b"abcdefgh", k=rng.randint(1, LONGEST))) for _ in range(count)}
    return sorted(words)


def test_words_of_every_length_are_found_with_their_ids() -> None:
    words = [bytes([97 + length % 26]) * length for length in range(1, LONGEST + 1)]
    table = WordTable()
    added = add(table, words)
    assert added is not None
    assert find(table, words).tolist() == added.tolist()
    assert_found(table, words)


def test_words_that_were_not_added_are_not_found() -> None:
    table = WordTable()
    add(table, [b"word", b"a" * 32])
    others = [b"wor", b"words", b"Word", b"a" * 31, b"a" * 33, b"a" * 24]
    assert find(table, others).tolist() == [0] * len(others)


@pytest.mark.parametrize("longer", [9, 16, 17, 24, 25, 32, 40, 64])
def test_a_word_is_told_from_its_beginning(longer: int) -> None:
    words = [b"x" * length for length in (8, longer - 1, longer)]
    table = WordTable(SMALL)
    add(table, words[-1:])
    assert [place != 0 for place in find(table, words)] == [False, False, True]
    add(table, words[:2])
    assert_found(table, words)


def test_words_that_collide_are_kept_apart() -> None:
    words = [word for word in random_words(60) if len(word) <= 8][:30]
    table = WordTable({1: 64, 2: 2, 4: 2, 8: 2})
    for word in words:  # one after the other, so that later words probe past earlier ones
        assert add(table, [word]) is not None
    assert_found(table, words)


def test_a_full_table_refuses_words_and_keeps_the_others() -> None:
    words = [f"w{number}".encode() for number in range(40)]
    table = WordTable(SMALL)
    assert add(table, words[:32]) is not None
    assert add(table, words[32:33]) is None
    assert_found(table, words[:32])
    assert find(table, words[32:]).tolist() == [0] * 8


def test_room_for_ids_is_limited_too() -> None:
    table = WordTable(SMALL, ids=10)
    assert table.add([b"a"], TokenIds(np.arange(9), np.array([0, 9]))) is not None
    assert table.add([b"b"], TokenIds(np.arange(1), np.array([0, 1]))) is None


def test_words_that_depend_on_their_neighbours_have_no_ids() -> None:
    table = WordTable(SMALL)
    alone = np.array([True, False])
    table.add([b"a", b"b"], flatten([[1], [2]]), alone)
    assert find(table, [b"b"]).tolist() == [DEPENDS]
    assert table.gather(find(table, [b"a"])).lists() == [[1]]


def test_readers_beside_a_writer_find_nothing_or_the_right_ids() -> None:
    words = random_words(20_000)
    table = WordTable()
    batches = [words[start : start + 100] for start in range(0, len(words), 100)]

    def read(seed: int) -> int:
        sample = random.Random(seed).sample(words, 2000)
        places = find(table, sample)
        known = np.flatnonzero(places)
        expected = [ids_of(sample[row]) for row in known]
        assert table.gather(places[known]).lists() == expected
        return len(known)

    with ThreadPoolExecutor(4) as executor:
        readers = [executor.submit(read, seed) for seed in range(60)]
        for batch in batches:
            assert add(table, batch) is not None
        counts = [reader.result() for reader in readers]
    assert_found(table, words)
    assert all(0 <= count <= 2000 for count in counts)


def test_two_writers_of_the_same_words_agree() -> None:
    words = random_words(3000)
    table = WordTable()
    with ThreadPoolExecutor(4) as executor:
        places = list(executor.map(lambda _: add(table, words), range(4)))
    assert all(found is not None for found in places)
    assert_found(table, words)


def test_adding_while_adding_is_refused() -> None:
    # A signal handler may run in the thread that is adding words.
    table = WordTable(SMALL)
    table._is_adding = True
    assert add(table, [b"a"]) is None
    table._is_adding = False
    assert add(table, [b"a"]) is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_forked_while_a_thread_adds_can_use_the_table() -> None:
    table = WordTable(SMALL)
    add(table, [b"a"])
    holding, done = Event(), Event()

    def hold() -> None:
        with table._lock:
            holding.set()
            done.wait()

    thread = Thread(target=hold)
    thread.start()
    holding.wait()
    with warnings.catch_warnings():  # Python 3.12 warns of a fork beside threads, which is what is tested
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os._exit(0 if find(table, [b"a"])[0] else 3)
    done.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


def test_places_hold_start_and_count() -> None:
    table = WordTable(SMALL)
    words = [b"abc", b"d"]
    places = add(table, words)
    assert places is not None
    starts = [int(place) >> 32 for place in places]
    assert starts[0] >= 1  # 0 stands for a word that is not known
    assert [right - left for left, right in pairwise(starts)] == [len(ids_of(words[0]))]
