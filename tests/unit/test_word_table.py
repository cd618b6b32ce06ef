"""The table of words, compared with a dict: collisions, limits, threads, signals and forks."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from sys import getsizeof
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portvec._vocabulary import locks, word_columns, word_table
from portvec._vocabulary.token_ids import flatten
from portvec._vocabulary.word_columns import PROBES, WordColumns
from portvec._vocabulary.word_table import (
    DEPENDS,
    IDS,
    LONG_BYTES,
    LONG_OVERHEAD,
    LONGEST,
    LONGEST_KEPT,
    SLOTS,
    WIDTHS,
    WordTable,
)
from project import FUZZ

Ids = dict[bytes, list[int]]


def add(table: WordTable, words: Ids) -> npt.NDArray[np.int64] | None:
    return table.add(list(words), flatten(list(words.values())))


def places_of(table: WordTable, words: list[bytes]) -> list[int]:
    """Return the places of words, each of them between other text."""
    text = b"ab" + b"\xff\xfe".join(words) + b"zyx" * LONGEST
    starts = np.cumsum([2, *(len(word) + 2 for word in words)])[:-1]
    places = table.find(text, starts, np.array([len(word) for word in words], dtype=np.int64))
    return [int(place) for place in places]


def ids_of(table: WordTable, words: list[bytes]) -> list[list[int] | None]:
    """Return the ids of words, None for unknown ones."""
    places = np.array(places_of(table, words), dtype=np.int64)
    known = iter(table.gather(places[places != 0]).lists())
    return [next(known) if place else None for place in places]


def width_of(word: bytes) -> int:
    return next((width for width in WIDTHS if len(word) <= 8 * width), 0)


def memory_of(table: WordTable) -> int:
    """Return the bytes that a table holds."""
    arrays: list[npt.NDArray[Any]] = [table._ids]
    for columns in table._columns.values():
        arrays += [columns._slots, columns._places, *columns._keys]
    words = sum(map(getsizeof, table._long.keys())) + sum(map(getsizeof, table._long.values()))
    return sum(array.nbytes for array in arrays) + getsizeof(table._long) + words


# Many have the same first bytes, so that they differ in a later column only.
WORDS = st.builds(
    "{}{}".format,
    st.sampled_from(["a", "a" * 7, "a" * 14, "a" * 30, "a" * 60, "a" * 63, "a" * (LONGEST_KEPT - 1)]),
    st.text("ab", max_size=3),
)
TOKENS = st.lists(st.integers(0, 2**31 - 1), max_size=3)
BATCHES = st.lists(st.dictionaries(WORDS.map(str.encode), TOKENS, max_size=5), max_size=8)


@settings(max_examples=150 * FUZZ, deadline=None)
@given(BATCHES)
def test_a_small_table_behaves_like_a_dict(batches: list[Ids]) -> None:
    slots = {1: 16, 2: 8, 4: 8, 8: 4}
    long_bytes = 2 * LONGEST_KEPT + 3 * LONG_OVERHEAD
    table = WordTable(slots, 40, long_bytes)
    known: Ids = {}
    used = 1
    for batch in batches:
        words = {word: ids for word, ids in batch.items() if word not in known}
        places = add(table, words)
        kept = {word: ids for word, ids in words.items() if len(word) <= LONGEST_KEPT}
        together = [width_of(word) for word in [*known, *kept]]
        fits = all(2 * together.count(width) <= size for width, size in slots.items())
        long = sum(len(word) + LONG_OVERHEAD for word in [*known, *kept] if len(word) > LONGEST)
        count = sum(map(len, words.values()))
        assert (places is not None) == (fits and used + count <= 40 and long <= long_bytes)
        if places is not None:
            known |= kept
            used += count
            assert table.gather(places).lists() == list(words.values())
            assert places_of(table, list(kept)) == [
                place for word, place in zip(words, places.tolist(), strict=True) if word in kept
            ]
        asked = [*known, *batch, b"never added"]
        assert ids_of(table, asked) == [known.get(word) for word in asked]


def test_runs_of_slots_wrap_around() -> None:
    """Words that all hash to the last slot of 8 take slots at the start."""
    table = WordTable({1: 8}, ids=20)
    last = np.flatnonzero(table._columns[1]._hash([np.arange(1, 256, dtype=np.uint64)]) == 7) + 1
    words = {bytes([code]): [code] for code in last[:4].tolist()}
    absent = bytes([last[4]])
    for count, word in enumerate(words, 1):
        assert add(table, {word: words[word]}) is not None
        expected = [*[[code] for code in last[:count].tolist()], *[None] * (4 - count)]
        assert ids_of(table, [*words, absent]) == [*expected, None]


@pytest.mark.parametrize("width", WIDTHS)
def test_half_of_the_slots_are_used(width: int) -> None:
    words = {b"%c" % (97 + number) * (8 * width): [number] for number in range(9)}
    table = WordTable({width: 16}, ids=100)
    assert add(table, words) is None  # 9 of 16
    *most, last = words
    assert add(table, {word: words[word] for word in most[:3]}) is not None
    assert add(table, {word: words[word] for word in most[3:]}) is not None
    assert add(table, {last: [0]}) is None
    assert ids_of(table, list(words)) == [*([number] for number in range(8)), None]


def test_ids_fill_up() -> None:
    table = WordTable({1: 64}, ids=10)
    assert add(table, {b"a": [1, 2, 3, 4]}) is not None
    assert add(table, {b"b": [1] * 6}) is None
    assert ids_of(table, [b"a", b"b"]) == [[1, 2, 3, 4], None]
    assert add(table, {b"c": [5, 6, 7, 8, 9]}) is not None
    assert add(table, {b"d": [1]}) is None
    assert add(table, {b"e": []}) is not None
    assert ids_of(table, [b"a", b"c", b"d", b"e"]) == [[1, 2, 3, 4], [5, 6, 7, 8, 9], None, []]


def test_what_is_refused_takes_no_room() -> None:
    table = WordTable({1: 4, 2: 4}, ids=100)
    assert add(table, {b"a": [1], b"longer words": [2], b"longer worts": [2], b"longer words 3": [2]}) is None
    assert ids_of(table, [b"a", b"longer words"]) == [None, None]
    assert add(table, {b"a": [1], b"b": [2]}) is not None


def test_prefixes_of_every_length() -> None:
    """Words that differ in their length only, 24 and 32 bytes among them, which take the same width."""
    text = bytes(range(97, 97 + 26)) * 3
    prefixes = [text[:length] for length in range(1, LONGEST + 1)]
    table = WordTable()
    assert add(table, {word: [len(word)] for word in prefixes[::2]}) is not None
    assert ids_of(table, prefixes) == [[len(word)] if len(word) % 2 else None for word in prefixes]
    assert add(table, {word: [len(word)] for word in prefixes[1::2]}) is not None
    assert ids_of(table, prefixes) == [[len(word)] for word in prefixes]


@pytest.mark.parametrize("length", [1, 7, 8, 9, 16, 17, 24, 25, 32, 33, 40, 41, 57, 63, 64])
def test_words_that_differ_in_one_byte(length: int) -> None:
    """In a table so small that many of them hash to the slot that is taken."""
    word = b"x" * length
    table = WordTable({width_of(word): 2}, ids=10)
    assert add(table, {word: [1]}) is not None
    others = [word[:position] + b"y" + word[position + 1 :] for position in range(length)]
    assert ids_of(table, [*others, word]) == [*[None] * length, [1]]


def test_the_usual_size() -> None:
    assert max(WIDTHS) * 8 == LONGEST == 64
    assert all(size.bit_count() == 1 for size in SLOTS.values())
    words = {b"%x" % (number * 7919): [number] for number in range(100_000)}
    table = WordTable()
    assert add(table, words) is not None
    assert ids_of(table, list(words)) == list(words.values())
    assert sum(size // 2 for size in SLOTS.values()) < IDS


@pytest.mark.parametrize("width", WIDTHS)
def test_hashes_are_spread(width: int) -> None:
    """Words that differ in 8 bytes only do not meet in a few slots."""
    numbers = np.arange(1 << 11)
    part = WordColumns(width, 1 << 12)
    for column in range(width):
        keys = [np.zeros(len(numbers), np.uint64) + np.uint64(0x6161616161616161) for _ in range(width)]
        keys[column] = keys[column] + numbers.astype(np.uint64)
        slots = part._hash(keys)
        assert 0 <= slots.min() <= slots.max() < 1 << 12
        # At random, 2048 keys would hit 1612 of the 4096 slots on average.
        assert len(np.unique(slots)) > 1000


def test_words_that_collide_in_one_table_do_not_in_another() -> None:
    """So nobody can choose words that are slow everywhere."""
    numbers = np.arange(1, 1 << 20, dtype=np.uint64)
    crafted, other = WordColumns(1, 1 << 15), WordColumns(1, 1 << 15)
    keys = [numbers[crafted._hash([numbers]) < 16][:200]]
    assert len(keys[0]) == 200
    places = np.arange(1, 201)
    for part in (crafted, other):
        assert not part.find(keys).any()
        part.add(keys, places)
    assert other.find(keys).tolist() == places.tolist()
    kept = crafted.find(keys)
    assert PROBES <= np.count_nonzero(kept) <= PROBES + 16  # a look-up tries no further slot
    assert set(kept) - {0} <= set(places.tolist())


def test_a_word_that_is_not_kept_has_ids_all_the_same() -> None:
    table = WordTable({1: 1 << 10}, ids=1000)
    part = table._columns[1]
    words = [b"%d" % number for number in range(200_000)]
    hashed = part._hash([np.array([int.from_bytes(word, "little") for word in words], dtype=np.uint64)])
    crafted = [words[row] for row in np.flatnonzero(hashed == 5)][: PROBES + 1]
    assert len(crafted) == PROBES + 1
    places = add(table, {word: [row] for row, word in enumerate(crafted)})
    assert places is not None
    assert table.gather(places).lists() == [[row] for row in range(PROBES + 1)]
    found = ids_of(table, crafted)
    assert found.count(None) == 1
    assert all(ids in (None, [row]) for row, ids in enumerate(found))


@pytest.mark.parametrize("ids", [[2**31 - 1], [0, 2**31 - 1, 5]])
def test_the_largest_ids(ids: list[int]) -> None:
    table = WordTable()
    assert add(table, {b"a": ids}) is not None
    found = table.gather(np.array(places_of(table, [b"a"])))
    assert found.lists() == [ids]
    assert found.ids.dtype == np.int64


@pytest.mark.parametrize("too_large", [2**31, 2**32 + 5, 2**40])
def test_ids_that_are_no_int32_are_refused(too_large: int) -> None:
    table = WordTable()
    assert add(table, {b"a": [1], b"b": [2, too_large]}) is None
    assert ids_of(table, [b"a", b"b"]) == [None, None]
    assert add(table, {b"a": [1]}) is not None


class TestLongWords:
    def test_prefixes(self) -> None:
        text = bytes(range(97, 97 + 26)) * 200
        lengths = [*range(LONGEST - 1, 300), LONGEST_KEPT - 1, LONGEST_KEPT, LONGEST_KEPT + 1]
        table = WordTable()
        words = {text[:length]: [length, length + 1] for length in lengths}
        places = add(table, words)
        assert places is not None
        assert table.gather(places).lists() == list(words.values())
        *kept, too_long = words
        assert ids_of(table, [*kept, too_long]) == [*(words[word] for word in kept), None]

    def test_beside_short_ones(self) -> None:
        words = {b"a" * length: [length] for length in (1, 64, 65, 8, 4096, 9, 100, 33)}
        table = WordTable()
        assert add(table, words) is not None
        assert ids_of(table, [*words, b"b" * 65, b"b"]) == [*words.values(), None, None]

    def test_a_byte_makes_a_difference(self) -> None:
        word = b"x" * 1000
        table = WordTable()
        assert add(table, {word: [1]}) is not None
        others = [word[:position] + b"y" + word[position + 1 :] for position in (0, 63, 64, 500, 999)]
        assert ids_of(table, [*others, word]) == [*[None] * 5, [1]]

    def test_bytes_fill_up(self) -> None:
        table = WordTable(long_bytes=3 * (100 + LONG_OVERHEAD))
        words = {bytes([code]) * 100: [code] for code in range(97, 101)}
        assert add(table, words) is None
        assert ids_of(table, list(words)) == [None] * 4
        *most, last = words
        assert add(table, {word: words[word] for word in most}) is not None
        assert add(table, {last: [0], b"short": [1]}) is None
        assert add(table, {b"short": [1], b"z" * (LONGEST_KEPT + 1): [2]}) is not None
        assert ids_of(table, [*words, b"short"]) == [*([word[0]] for word in most), None, [1]]

    def test_that_depend_on_their_neighbours(self) -> None:
        table = WordTable()
        words = [b"a" * 100, b"b" * 100]
        assert table.add(words, flatten([[1], [2]]), np.array([False, True])) is not None
        assert [place == DEPENDS for place in places_of(table, words)] == [True, False]

    def test_added_again(self) -> None:
        table = WordTable()
        first = add(table, {b"a" * 100: [1]})
        assert first is not None
        assert add(table, {b"a" * 100: [1], b"b": [2]}) is not None
        assert places_of(table, [b"a" * 100]) == first.tolist()


class TestGrowth:
    def test_places_stay_valid(self) -> None:
        table = WordTable()
        sizes = []
        words: Ids = {}
        places: list[int] = []
        for batch in range(40):
            new = {
                b"%d" % number * (1 + number % 9): [number] * (number % 4) for number in range(batch * 400)
            }
            new = {word: ids for word, ids in new.items() if word not in words}
            added = add(table, new)
            assert added is not None
            words |= new
            places += added.tolist()
            sizes.append(memory_of(table))
            assert table.gather(np.array(places, dtype=np.int64)).lists() == list(words.values())
        assert places_of(table, list(words)) == places
        assert len(set(sizes)) > 10

    def test_a_table_is_small_at_first(self) -> None:
        assert memory_of(WordTable()) < 100_000

    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_of_what_a_look_up_reads(self, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A look-up has begun with columns that are replaced meanwhile."""
        table = WordTable()
        assert add(table, {b"old": [1, 2]}) is not None
        find = WordColumns.find
        many = {b"%d" % number: [number] for number in range(50_000)}

        def overlapped(self: WordColumns, keys: Any) -> Any:
            found = find(self, keys) if moment == "after" else None
            monkeypatch.setattr(WordColumns, "find", find)
            with ThreadPoolExecutor(1) as executor:
                assert executor.submit(add, table, many).result(10) is not None
            return find(self, keys) if found is None else found

        before = table._columns[1]
        monkeypatch.setattr(WordColumns, "find", overlapped)
        assert ids_of(table, [b"old", b"49999", b"absent"]) == [[1, 2], [49_999], None]
        assert table._columns[1] is not before

    def test_an_error_changes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        table = WordTable()
        old = {b"%d" % number: [number] for number in range(200)}
        assert add(table, old) is not None

        def fail(*arguments: Any) -> Any:
            raise KeyboardInterrupt

        many = {b"x%d" % number: [number] for number in range(5000)}
        with monkeypatch.context() as patch:
            patch.setattr(WordColumns, "add", fail)
            with pytest.raises(KeyboardInterrupt):
                add(table, many)
        assert ids_of(table, [*old, *many]) == [*old.values(), *[None] * 5000]
        assert add(table, many) is not None
        assert ids_of(table, [*old, *many]) == [*old.values(), *many.values()]


def flood(table: WordTable, length: int, ids: int) -> None:
    """Add words of this length, with this number of ids each, until the table refuses one."""
    number, step = 0, 1 << 14
    while step:
        words = (b"%d" % (number + each) for each in range(step))
        if add(table, {word.ljust(length, b"x"): [1] * ids for word in words}) is None:
            step >>= 1
        else:
            number += step


@pytest.mark.parametrize("limit", [0, 1, 1000, 30_000, IDS])
def test_a_flood_is_bounded(limit: int) -> None:
    table = WordTable.for_ids(limit)
    for length in (8, 16, 32, 64, 65, 900, LONGEST_KEPT):
        flood(table, length, ids=1)
    flood(table, LONGEST_KEPT + 1, ids=50)
    assert limit - 50 < table._used <= limit + 1
    assert all(len(table._columns[width]._slots) >= SLOTS[width] * limit // IDS for width in WIDTHS)
    # The slots are a power of 2, so a limit may be rounded up to twice its share.
    assert memory_of(table) <= 24 * 10**6 * limit / IDS * (1 if limit == IDS else 2) + 2000


def test_the_usual_table_is_for_its_number_of_ids() -> None:
    usual, table = WordTable(), WordTable.for_ids(IDS)
    assert (table._slots, table._most_ids, table._long_bytes_left) == (SLOTS, IDS + 1, LONG_BYTES)
    assert (usual._slots, usual._most_ids, usual._long_bytes_left) == (SLOTS, IDS, LONG_BYTES)


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_a_table_for_few_ids(limit: int) -> None:
    table = WordTable.for_ids(limit)
    assert (add(table, {b"a": [5]}) is not None) == (limit > 0)
    assert (add(table, {b"b" * 9: [6]}) is not None) == (limit > 1)
    assert add(table, {b"c": [7]}) is None
    assert ids_of(table, [b"a", b"b" * 9, b"c"]) == [*[[5], [6]][:limit], *[None] * (3 - limit)]


def test_a_table_for_very_many_ids() -> None:
    table = WordTable.for_ids(2**31 - 1)
    assert add(table, {b"a": [5], b"a" * 100: [6]}) is not None
    assert ids_of(table, [b"a", b"a" * 100]) == [[5], [6]]
    assert memory_of(table) < 100_000


def test_nothing_to_find_or_add() -> None:
    table = WordTable()
    assert places_of(table, []) == []
    places = table.add([], flatten([]))
    assert places is not None
    assert len(places) == 0
    assert table.gather(np.zeros(0, np.int64)).lists() == []


def test_unknown_places_have_no_ids() -> None:
    table = WordTable({1: 8}, ids=10)
    places = add(table, {b"a": [5, 6]})
    assert places is not None
    assert table.gather(np.array([0, places[0], 0, places[0]])).lists() == [[], [5, 6], [], [5, 6]]


def test_words_that_depend_on_their_neighbours() -> None:
    table = WordTable()
    alone = np.array([True, False, True])
    places = table.add([b"a", b"b", b"a word of width 4"], flatten([[1], [2], [3]]), alone)
    assert places is not None
    assert (places == DEPENDS).tolist() == [False, True, False]
    assert places_of(table, [b"a", b"b", b"a word of width 4"]) == places.tolist()


def test_adding_again_what_another_thread_added() -> None:
    table = WordTable({1: 4}, ids=100)
    first, again = add(table, {b"a": [1, 2]}), add(table, {b"a": [1, 2]})
    assert first is not None
    assert again is not None
    assert table.gather(again).lists() == [[1, 2]]
    assert places_of(table, [b"a"]) == first.tolist()
    assert add(table, {b"b": [3]}) is not None  # the word took one slot only


class TestThreads:
    @pytest.mark.parametrize("method", ["find", "add"])
    def test_take_turns(self, method: str) -> None:
        table = WordTable({1: 8}, ids=10)
        call = {"find": lambda: places_of(table, [b"a"]), "add": lambda: add(table, {b"a": [1]})}[method]
        thread = threading.Thread(target=call)
        with table._lock:
            thread.start()
            thread.join(0.05)
            assert thread.is_alive()
        thread.join(10)
        assert not thread.is_alive()

    def test_readers_beside_writers(self) -> None:
        words = {b"%d" % number * (1 + number % 5): [number, number + 1] for number in range(6000)}
        every = list(words)
        table = WordTable({1: 1 << 14, 2: 1 << 14, 4: 1 << 14, 8: 1 << 14}, ids=100_000)

        def write(first: int) -> None:
            for start in range(first, len(every), 100):
                assert add(table, {word: words[word] for word in every[start : start + 50]}) is not None

        def read(_: int) -> None:
            for _ in range(5):
                found = ids_of(table, every)
                assert all(ids in (None, words[word]) for word, ids in zip(every, found, strict=True))

        with ThreadPoolExecutor(6) as pool:
            done = [pool.submit(call, first) for first in (0, 50) for call in (write, read, read)]
            for future in done:
                future.result()
        assert ids_of(table, every) == list(words.values())


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_look_up_that_an_addition_overlaps_is_repeated(moment: str) -> None:
    class Overlapped(WordTable):
        is_overlapped = False

        def _find(self, *arguments: Any) -> Any:
            if self.is_overlapped:
                return super()._find(*arguments)
            self.is_overlapped = True
            places = super()._find(*arguments) if moment == "after" else None
            with ThreadPoolExecutor(1) as executor:
                executor.submit(add, self, {b"new": [7]}).result(10)
            return super()._find(*arguments) if places is None else places

    table = Overlapped()
    assert table.gather(table.find(b"new" + bytes(LONGEST), np.array([0]), np.array([3]))).lists() == [[7]]


class TestInterruptions:
    """A signal handler runs in the thread that adds words, between any two steps."""

    def test_adding_while_adding_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        table = WordTable()
        keys = word_columns.keys_of
        inner: list[Any] = []

        def interrupted(*arguments: Any) -> Any:
            if not inner:
                inner.append(None)
                inner[0] = (add(table, {b"inner": [9]}), places_of(table, [b"a", b"inner"]))
            return keys(*arguments)

        monkeypatch.setattr(word_table, "keys_of", interrupted)
        assert add(table, {b"a": [1], b"a longer word": [2]}) is not None
        assert inner == [(None, [0, 0])]
        assert ids_of(table, [b"a", b"a longer word", b"inner"]) == [[1], [2], None]
        assert add(table, {b"inner": [9]}) is not None
        assert ids_of(table, [b"inner"]) == [[9]]

    def test_what_a_handler_would_add_does_not_take_the_room(self, monkeypatch: pytest.MonkeyPatch) -> None:
        table = WordTable(ids=1_000)
        size_with = word_columns.WordColumns.size_with
        inner: list[Any] = []

        def interrupted(self: word_columns.WordColumns, count: int) -> int:
            if not inner:
                inner.append(None)
                inner[0] = add(table, {b"b%d" % number: [1] for number in range(600)})
            return size_with(self, count)

        monkeypatch.setattr(word_columns.WordColumns, "size_with", interrupted)
        words = {b"a%d" % number: [number] for number in range(600)}
        assert add(table, words) is not None
        assert inner == [None]
        assert ids_of(table, list(words)) == list(words.values())

    def test_adding_after_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        table = WordTable()

        def fail(*arguments: Any) -> Any:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(word_table, "keys_of", fail)
            with pytest.raises(KeyboardInterrupt):
                add(table, {b"a": [1]})
        assert add(table, {b"a": [1]}) is not None
        assert ids_of(table, [b"a"]) == [[1]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_fork_while_a_thread_holds_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_PATIENCE", 0.1)
    table = WordTable()
    assert add(table, {b"a": [1]}) is not None
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with table._lock:
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(10)
        child = os.fork()
        if child == 0:  # no assertion may leave the child, which would run the rest of the tests
            signal.alarm(10)
            found = ids_of(table, [b"a", b"b"]) == [[1], None] and add(table, {b"b": [2]}) is not None
            os._exit(0 if found and ids_of(table, [b"a", b"b"]) == [[1], [2]] else 1)
        _, status = os.waitpid(child, 0)
    finally:
        done.set()
        thread.join()
    assert os.waitstatus_to_exitcode(status) == 0
