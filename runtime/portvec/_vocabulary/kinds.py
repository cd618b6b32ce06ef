"""The kinds of characters by which pre-tokenizers split words, and cutting joined words where they change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from portvec._vocabulary.characters import PAGES, CharacterTable, Remembered
from portvec._vocabulary.token_ids import Ids, offsets_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from portvec._vocabulary.file import VocabularyFile

# The kinds of characters. A step that knows no numbers has letters in their place.
LETTER: Final = 0
OTHER: Final = 1
SPACE: Final = 2
NUMBER: Final = 3

# The kind for each step takes two bits of a number in the table.
KIND_BITS: Final = 2


class Kinds:
    """The kinds of characters for one step."""

    def __init__(self, file: VocabularyFile, shift: int) -> None:
        self._table = CharacterTable(file.array("kind_pages", "int32", PAGES), file.array("kinds", "uint8"))
        self._shift = shift

    def __getitem__(self, code: int) -> int:
        return (self._table[code] >> self._shift) & NUMBER

    def find(self, codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
        kinds: npt.NDArray[np.uint8] = (self._table.find(codes) >> np.uint8(self._shift)) & np.uint8(NUMBER)
        return kinds


class Signs(Remembered[int]):
    """A character for each kind."""

    def __init__(self, kinds: Kinds) -> None:
        super().__init__()
        self._kinds = kinds

    def find(self, code: int) -> int:
        return ord("a! 0"[self._kinds[code]])


def bounds_of(words: Sequence[str]) -> Ids:
    return offsets_of(np.fromiter(map(len, words), np.int64, len(words)))


def mark_starts(bounds: Ids, size: int) -> npt.NDArray[np.bool_]:
    """Return where one of the runs with these bounds starts, bool (size,)."""
    starts = np.zeros(size, dtype=np.bool_)
    starts[bounds[:-1]] = True
    return starts


def count_between(starts: Ids, bounds: Ids) -> Ids:
    """Return how many of the starts are between each two bounds."""
    counts: Ids = np.diff(np.searchsorted(starts, bounds))
    return counts


def cut_at(text: str, starts: Ids, kept: npt.NDArray[np.bool_] | None = None) -> list[str]:
    """Return the text from each start to the next, where `kept` says so."""
    ends = np.append(starts[1:], len(text))
    if kept is not None:
        starts, ends = starts[kept], ends[kept]
    return [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
