"""A hash table from words to their token ids that looks up many words at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from portvec._vocabulary.locks import ForkSafeLock, watch_forks
from portvec._vocabulary.token_ids import Ids, TokenIds, offsets_of

if TYPE_CHECKING:
    import numpy.typing as npt

Keys: TypeAlias = "list[npt.NDArray[np.uint64]]"  # columns

# A word is compared by its bytes, as 1, 2, 4 or 8 numbers of 8 bytes. Longer words are not kept.
WIDTHS = (1, 2, 4, 8)
LONGEST = 8 * WIDTHS[-1]

# Slots for each width, a power of 2 of which at most half are used, and ids of all words together. The
# operating system provides the memory as it is used, at most 30 MB.
SLOTS = {1: 1 << 18, 2: 1 << 18, 4: 1 << 16, 8: 1 << 15}
IDS = 2_000_000

# The place of a word whose ids depend on its neighbours.
DEPENDS = -1

# Slots that are tried for a word. In a table that is half full, few words need more than ten of them.
PROBES = 64

# Masks for the bytes of a number that belong to a word with 0 to 8 bytes left.
_BYTES = np.array([(1 << 8 * count) - 1 for count in range(9)], dtype=np.uint64)


class WordTable:
    """Words and their ids. Words are added and never removed, so a place stays valid.

    A place is a number that holds where the ids of a word start and how many there are.

    Threads may look up and add words at the same time. A lock orders the additions. Look-ups do not hold it,
    because threads would wait for each other. Under the lock, they read the number of additions before and
    after, and they repeat a look-up that an addition may have overlapped.
    """

    def __init__(self, slots: Mapping[int, int] = SLOTS, ids: int = IDS) -> None:
        """Create an empty table. `slots` gives the slots for each width; fewer than `ids` ids fit."""
        self._ids = np.zeros(ids, dtype=np.int64)
        self._used = 1  # the place 0 means that a word is not known
        self._parts = {width: _Part(width, size) for width, size in slots.items()}
        self._lock = ForkSafeLock()
        watch_forks()
        self._additions = 0
        self._is_adding = False

    def find(self, text: bytes, starts: Ids, lengths: Ids) -> Ids:
        """Return the place of each word `text[start : start + length]`, 0 where it is not known.

        No word may contain a NUL, and `LONGEST` bytes must follow the start of the last word.
        """
        with self._lock:
            additions = self._additions
        places = self._find(text, starts, lengths)
        with self._lock:
            return places if additions == self._additions else self._find(text, starts, lengths)

    def _find(self, text: bytes, starts: Ids, lengths: Ids) -> Ids:
        places = np.zeros(len(starts), dtype=np.int64)
        for width, rows in _by_width(lengths):
            places[rows] = self._parts[width].find(_keys(text, starts[rows], lengths[rows], width))
        return places

    def add(
        self, words: list[bytes], tokens: TokenIds, alone: npt.NDArray[np.bool_] | None = None
    ) -> Ids | None:
        """Add words and return their places, or None if that is not possible now.

        There may be no room for them, or a signal handler may have interrupted this method and called it.

        `alone` says which words have these ids in any text; all of them if None.
        """
        lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
        parts = list(_by_width(lengths))
        with self._lock:
            if self._is_adding or not self._has_room(len(tokens.ids), lengths, parts):
                return None
            self._is_adding = True
            self._additions += 1
            try:
                return self._add(words, lengths, parts, tokens, alone)
            finally:
                self._is_adding = False

    def _has_room(self, ids: int, lengths: Ids, parts: list[tuple[int, Ids]]) -> bool:
        return self._used + ids <= len(self._ids) and all(
            self._parts[width].has_room(len(lengths[rows])) for width, rows in parts
        )

    def _add(
        self,
        words: list[bytes],
        lengths: Ids,
        parts: list[tuple[int, Ids]],
        tokens: TokenIds,
        alone: npt.NDArray[np.bool_] | None,
    ) -> Ids:
        self._ids[self._used : self._used + len(tokens.ids)] = tokens.ids
        places: Ids = (tokens.offsets[:-1] + self._used) << 32 | np.diff(tokens.offsets)
        self._used += len(tokens.ids)
        if alone is not None:
            places[~alone] = DEPENDS
        text = b"".join(words) + bytes(LONGEST)
        starts = offsets_of(lengths)[:-1]
        for width, rows in parts:
            self._parts[width].add(_keys(text, starts[rows], lengths[rows], width), places[rows])
        return places

    def gather(self, places: Ids) -> TokenIds:
        """Return the ids of the words at these places, one word after another."""
        counts = places & 0xFFFFFFFF
        bounds = offsets_of(counts)
        rows = np.repeat((places >> 32) - bounds[:-1], counts)
        rows += np.arange(len(rows))
        return TokenIds(self._ids[rows], bounds)


class _Part:
    """The words of one width, with open addressing: a word is in the first free slot from its hash on.

    The hash multiplies by random odd numbers, so that nobody can choose words that collide (Dietzfelbinger
    and others, "A reliable randomized algorithm for the closest-pair problem", 1997). A word that finds none
    of its slots free is not kept.
    """

    def __init__(self, width: int, size: int) -> None:
        self._multipliers = np.frombuffer(os.urandom(8 * (width + 1)), dtype=np.uint64) | np.uint64(1)
        self._keys: Keys = [np.zeros(size, dtype=np.uint64) for _ in range(width)]
        self._places = np.zeros(size, dtype=np.int64)
        self._shift = np.uint64(65 - size.bit_length())
        self._count = 0

    def has_room(self, count: int) -> bool:
        return 2 * (self._count + count) <= len(self._places)

    def find(self, keys: Keys) -> Ids:
        slots = self._hash(keys)
        found = self._places[slots]
        wrong = np.flatnonzero(~self._holds(slots, keys) & (found != 0))
        probes = 1
        while len(wrong):
            if probes == PROBES:
                found[wrong] = 0
                break
            slots[wrong] = after = self._after(slots[wrong])
            found[wrong] = places = self._places[after]
            wrong = wrong[~self._holds(after, [column[wrong] for column in keys]) & (places != 0)]
            probes += 1
        return found

    def add(self, keys: Keys, places: Ids) -> None:
        slots = self._hash(keys)
        rows = np.arange(len(slots))
        for _ in range(PROBES):
            if not len(rows):
                break
            at = slots[rows]
            wanted = [column[rows] for column in keys]
            free = self._places[at] == 0
            for column, values in zip(self._keys, wanted, strict=True):
                column[at[free]] = values[free]  # of several words for one slot, the last wins
            here = self._holds(at, wanted)
            new = here & free
            self._places[at[new]] = places[rows[new]]
            self._count += int(np.count_nonzero(new))
            rows = rows[~here]
            slots[rows] = self._after(slots[rows])

    def _holds(self, slots: Ids, keys: Keys) -> npt.NDArray[np.bool_]:
        same: npt.NDArray[np.bool_] = self._keys[0][slots] == keys[0]
        for column, values in zip(self._keys[1:], keys[1:], strict=True):
            same &= column[slots] == values
        return same

    def _hash(self, keys: Keys) -> Ids:
        first, *others = self._multipliers
        mixed = keys[0] * first
        # One multiplication alone would put numbers that follow each other into a few slots, with bad luck.
        for column, multiplier in zip([*keys[1:], np.uint64(0)], others, strict=True):
            mixed = ((mixed >> np.uint64(29)) ^ mixed ^ column) * multiplier
        slots: Ids = (mixed >> self._shift).astype(np.int64)
        return slots

    def _after(self, slots: Ids) -> Ids:
        after: Ids = (slots + 1) & (len(self._places) - 1)
        return after


def _by_width(lengths: Ids) -> Iterator[tuple[int, Ids]]:
    """Yield each width with the rows of the words that need it."""
    above = 0
    for width in WIDTHS:
        rows = np.flatnonzero((lengths > above) & (lengths <= 8 * width))
        if len(rows):
            yield width, rows
        above = 8 * width


def _keys(text: bytes, starts: Ids, lengths: Ids, width: int) -> Keys:
    """Return the bytes of each word as columns of numbers, with zeros after its end."""
    numbers = np.ndarray((len(text) - 7,), "<u8", text, 0, (1,))  # one starts at every byte
    return [
        numbers[starts + 8 * column] & _BYTES[np.clip(lengths - 8 * column, 0, 8)] for column in range(width)
    ]
