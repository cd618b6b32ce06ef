"""Words of a few bytes as columns of numbers, with a hash table that looks up many at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np

from portvec._vocabulary.token_ids import Ids

if TYPE_CHECKING:
    import numpy.typing as npt

_Number = TypeVar("_Number", bound=np.generic)
Keys: TypeAlias = "list[npt.NDArray[np.uint64]]"  # columns

# Slots that are tried for a word. In a table that is half full, few words need more than ten of them.
PROBES = 64

# Masks for the bytes of a number that belong to a word with 0 to 8 bytes left.
_BYTES = np.array([(1 << 8 * count) - 1 for count in range(9)], dtype=np.uint64)


class WordColumns:
    """The words of one width, in the order in which they were added, and a hash table of their numbers.

    The table has open addressing: a word is in the first free slot from its hash on. The hash multiplies by
    random odd numbers, so that nobody can choose words that collide (Dietzfelbinger and others, "A reliable
    randomized algorithm for the closest-pair problem", 1997). A word that finds none of its slots free is not
    kept.

    The numbers begin with 1. The word 0 has the place 0, and no other word is equal to it.
    """

    def __init__(self, width: int, size: int) -> None:
        self._multipliers = np.frombuffer(os.urandom(8 * (width + 1)), dtype=np.uint64) | np.uint64(1)
        self._slots = np.zeros(size, dtype=np.int32)
        self._keys: Keys = [np.zeros(size // 2 + 1, dtype=np.uint64) for _ in range(width)]
        self._places = np.zeros(size // 2 + 1, dtype=np.int64)
        self._shift = np.uint64(65 - size.bit_length())
        self._count = 0

    def size_with(self, count: int) -> int:
        """Return the size for this number of words more."""
        return max(len(self._slots), 1 << (2 * (self._count + count) - 1).bit_length())

    def with_room_for(self, count: int) -> WordColumns:
        """Return these columns if they have room for this number of words more, or a larger copy."""
        size = self.size_with(count)
        if size == len(self._slots):
            return self
        larger = WordColumns(len(self._keys), size)
        kept = slice(1, self._count + 1)
        larger.add([column[kept] for column in self._keys], self._places[kept])
        return larger

    def find(self, keys: Keys) -> Ids:
        """Return the places of words, 0 for unknown ones."""
        return _take(self._places, self._find(keys))

    def _find(self, keys: Keys) -> Ids:
        """Return the numbers of words, 0 for unknown ones."""
        slots = self._hash(keys)
        found: Ids = _take(self._slots, slots).astype(np.int64)
        wrong = np.flatnonzero(~self._holds(found, keys) & (found != 0))
        probes = 1
        while len(wrong):
            if probes == PROBES:
                found[wrong] = 0
                break
            slots[wrong] = after = self._after(slots[wrong])
            found[wrong] = numbers = _take(self._slots, after).astype(np.int64)
            wrong = wrong[~self._holds(numbers, [column[wrong] for column in keys]) & (numbers != 0)]
            probes += 1
        return found

    def add(self, keys: Keys, places: Ids) -> None:
        """Add words, for which there must be room. Those that are known keep their places."""
        new = np.flatnonzero(self._find(keys) == 0)
        keys = [column[new] for column in keys]
        numbers = np.arange(self._count + 1, self._count + 1 + len(new))
        for column, values in zip(self._keys, keys, strict=True):
            column[numbers] = values
        self._places[numbers] = places[new]
        self._count += len(new)
        slots = self._hash(keys)
        for _ in range(PROBES):
            if not len(slots):
                break
            free = self._slots[slots] == 0
            self._slots[slots[free]] = numbers[free]  # of several words for one slot, the last wins
            left = self._slots[slots] != numbers
            slots, numbers = self._after(slots[left]), numbers[left]

    def _holds(self, numbers: Ids, keys: Keys) -> npt.NDArray[np.bool_]:
        same: npt.NDArray[np.bool_] = _take(self._keys[0], numbers) == keys[0]
        for column, values in zip(self._keys[1:], keys[1:], strict=True):
            same &= _take(column, numbers) == values
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
        after: Ids = (slots + 1) & (len(self._slots) - 1)
        return after


def keys_of(text: bytes, starts: Ids, lengths: Ids, width: int) -> Keys:
    """Return the bytes of words `text[start : start + length]` as columns, with zeros after their ends.

    A word has at most `8 * width` bytes. As many must follow the start of the last word.
    """
    numbers = np.ndarray((len(text) - 7,), "<u8", text, 0, (1,))  # one starts at every byte
    return [numbers[starts + 8 * column] & _take(_BYTES, lengths - 8 * column) for column in range(width)]


def _take(array: npt.NDArray[_Number], rows: Ids) -> npt.NDArray[_Number]:
    """Return the elements in these rows. numpy takes the nearest one faster than it checks rows."""
    taken: npt.NDArray[_Number] = array.take(rows, mode="clip")
    return taken
