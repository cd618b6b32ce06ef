"""A table of words and their token ids, which looks up many words at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from portvec._vocabulary.locks import ForkSafeLock, watch_forks
from portvec._vocabulary.token_ids import Ids, TokenIds, offsets_of
from portvec._vocabulary.word_columns import WordColumns, keys_of

if TYPE_CHECKING:
    import numpy.typing as npt

# A word is compared by its bytes, as 1, 2, 4 or 8 numbers of 8 bytes. Longer words are in a dict.
WIDTHS = (1, 2, 4, 8)
LONGEST = 8 * WIDTHS[-1]
# Words of more bytes are not kept: they seldom repeat.
LONGEST_KEPT = 1 << 12

# Limits: slots for each width, a power of 2 of which at most half are used; ids of all words together; bytes
# of the words in the dict. A table grows by need, to 24 MB at most.
SLOTS = {1: 1 << 18, 2: 1 << 18, 4: 1 << 16, 8: 1 << 15}
IDS = 2_000_000
LONG_BYTES = 4 << 20
# Bytes that count for each word in the dict beside its own: those of its objects and its entry.
LONG_OVERHEAD = 160

# The place of a word whose ids depend on its neighbours.
DEPENDS = -1

# Sizes at the start.
_SLOTS = 1 << 9
_IDS = 1 << 10

_LARGEST = 2**31 - 1  # of ids, and of places for them

# The width for each length in bytes: 0 for no bytes, `_LONG` for more than `LONGEST`.
_LONG = 2 * WIDTHS[-1]
_WIDTH_OF = np.zeros(LONGEST + 2, dtype=np.uint8)
for _width in (_LONG, *reversed(WIDTHS)):
    _WIDTH_OF[1 : 8 * _width + 1] = _width


class WordTable:
    """Words and their ids. Words are added and never removed, so a place stays valid.

    A place is a number that holds where the ids of a word start and how many there are.

    Threads may look up and add words at the same time. A lock orders the additions. Look-ups do not hold it,
    because threads would wait for each other. Under the lock, they read the number of additions before and
    after, and they repeat a look-up that an addition may have overlapped. What must grow is replaced by a
    larger copy, so a look-up that has begun goes on with the old one.
    """

    def __init__(
        self, slots: Mapping[int, int] = SLOTS, ids: int = IDS, long_bytes: int = LONG_BYTES
    ) -> None:
        """Create an empty table with these limits.

        `slots` are those for each width. Fewer than `ids` ids fit. Words of more than `LONGEST` bytes have
        `long_bytes` together, of which each takes `LONG_OVERHEAD` more than its length.
        """
        self._slots = slots
        self._most_ids = ids
        self._ids = np.zeros(min(ids, _IDS), dtype=np.int32)
        self._used = 1  # the place 0 means that a word is not known
        self._columns = {width: WordColumns(width, min(size, _SLOTS)) for width, size in slots.items()}
        self._long: dict[bytes, int] = {}
        self._long_bytes_left = long_bytes
        self._lock = ForkSafeLock()
        watch_forks()
        self._additions = 0
        self._is_adding = False

    @classmethod
    def for_ids(cls, limit: int) -> WordTable:
        """Return an empty table that keeps at most `limit` ids; the other limits are in proportion."""
        slots = {width: 1 << max(1, (size * limit // IDS - 1).bit_length()) for width, size in SLOTS.items()}
        return cls(slots, min(limit + 1, _LARGEST), LONG_BYTES * limit // IDS)

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
        short, long = _group(lengths)
        for width, rows in short.items():
            places[rows] = self._columns[width].find(keys_of(text, starts[rows], lengths[rows], width))
        for row in long:
            start = int(starts[row])
            places[row] = self._long.get(text[start : start + int(lengths[row])], 0)
        return places

    def add(
        self, words: list[bytes], tokens: TokenIds, alone: npt.NDArray[np.bool_] | None = None
    ) -> Ids | None:
        """Add words and return their places, or None if that is not possible now.

        There may be no room for them. An id may be too large for int32. Or a signal handler may have
        interrupted this method and called it.

        `alone` says which words have these ids in any text; all of them if None.
        """
        lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
        groups = _group(lengths)
        with self._lock:
            if self._is_adding:
                return None
            self._is_adding = True
            try:
                if not self._has_room(tokens.ids, lengths, groups):
                    return None
                self._additions += 1
                return self._add(words, lengths, groups, tokens, alone)
            finally:
                self._is_adding = False

    def _has_room(self, ids: Ids, lengths: Ids, groups: _Groups) -> bool:
        return (
            self._used + len(ids) <= self._most_ids
            and int(ids.max(initial=0)) <= _LARGEST
            and all(
                self._columns[width].size_with(len(rows)) <= self._slots[width]
                for width, rows in groups.short.items()
            )
            and sum(int(lengths[row]) + LONG_OVERHEAD for row in groups.long) <= self._long_bytes_left
        )

    def _add(
        self,
        words: list[bytes],
        lengths: Ids,
        groups: _Groups,
        tokens: TokenIds,
        alone: npt.NDArray[np.bool_] | None,
    ) -> Ids:
        places: Ids = (tokens.offsets[:-1] + self._used) << 32 | np.diff(tokens.offsets)
        if alone is not None:
            places[~alone] = DEPENDS
        self._add_ids(tokens.ids)
        text = b"".join(words) + bytes(LONGEST)
        starts = offsets_of(lengths)[:-1]
        for width, rows in groups.short.items():
            columns = self._columns[width].with_room_for(len(rows))
            columns.add(keys_of(text, starts[rows], lengths[rows], width), places[rows])
            self._columns[width] = columns
        for row in groups.long:
            self._long_bytes_left -= len(words[row]) + LONG_OVERHEAD
            self._long.setdefault(words[row], int(places[row]))
        return places

    def _add_ids(self, ids: Ids) -> None:
        used = self._used + len(ids)
        if used > len(self._ids):
            larger = np.zeros(min(max(used, 2 * len(self._ids)), self._most_ids), dtype=np.int32)
            larger[: self._used] = self._ids[: self._used]
            self._ids = larger
        self._ids[self._used : used] = ids
        self._used = used

    def gather(self, places: Ids) -> TokenIds:
        """Return the ids of the words at these places, one word after another."""
        counts = places & 0xFFFFFFFF
        bounds = offsets_of(counts)
        rows = np.repeat((places >> 32) - bounds[:-1], counts)
        rows += np.arange(len(rows))
        return TokenIds(self._ids.take(rows, mode="clip").astype(np.int64), bounds)


class _Groups(NamedTuple):
    """The rows of words that are kept: those of the dict, and for each width those of its columns."""

    short: dict[int, Ids]
    long: list[int]


def _group(lengths: Ids) -> _Groups:
    """Return the rows of words with these lengths."""
    widths = _WIDTH_OF.take(lengths, mode="clip")
    short = {width: np.flatnonzero(widths == width) for width in WIDTHS}
    long = np.flatnonzero(widths == _LONG)
    return _Groups(
        {width: rows for width, rows in short.items() if len(rows)},
        long[lengths[long] <= LONGEST_KEPT].tolist(),
    )
