"""Normalizing words one character at a time, where what a character becomes depends on nothing beside it.

The exporter asks the tokenizer's normalizer about each character, and proves which ones may be mapped alone.
A word with any other character is left to the normalizer itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from portvec._vocabulary.file import VocabularyFile

# A noncharacter, which text for interchange must not contain. It joins words, and no map knows it.
SEPARATOR: Final = "\U0010fffe"

# The pages of a two-stage table, for code points 0 to 0x10FFFF, and the code points on a page.
PAGES: Final = 0x1100
PAGE: Final = 0x100

# What an entry of the map says: the character stays itself; the normalizer must be asked; the character stays
# itself with a space on either side. Any other number is a place in the text of the map, times 256, plus how
# many characters it becomes.
ITSELF: Final = 0
ASK: Final = -1
SPACED: Final = -2
LONGEST_IMAGE: Final = 0xFF

_Value = TypeVar("_Value")

_LAST_CHARACTER = 0x10FFFF
_REMEMBERED = 1 << 14


class CharacterTable:
    """A number for each code point. A page is stored once, however often it occurs."""

    def __init__(self, pages: npt.NDArray[np.int32], entries: npt.NDArray[Any]) -> None:
        self._pages = pages
        self._entries = entries

    def __getitem__(self, code: int) -> int:
        """Return the number of one code point."""
        place = int(self._pages[code >> 8]) * PAGE + (code & 0xFF)
        return int(self._entries[min(max(place, 0), len(self._entries) - 1)])

    def find(self, codes: npt.NDArray[np.uint32]) -> npt.NDArray[Any]:
        """Return the numbers of many code points. Nothing is read outside the table, whatever it holds."""
        places = np.take(self._pages, codes >> 8, mode="clip").astype(np.int64)
        places *= PAGE
        places += codes & 0xFF
        return np.take(self._entries, places, mode="clip")


class Remembered(dict[int, _Value]):
    """A table for `str.translate` of the characters met so far. It is emptied when it is full."""

    def __missing__(self, code: int) -> _Value:
        value = self.find(code)
        if len(self) >= _REMEMBERED:
            self.clear()
        self[code] = value
        return value

    def find(self, code: int) -> _Value:
        """Return what stands for a code point."""
        raise NotImplementedError


class CharacterMap:
    """The normalizer of a tokenizer, for words of which it maps each character by itself."""

    def __init__(self, file: VocabularyFile) -> None:
        """Use the arrays "map_pages", "map_entries" and "map_text", and the facts "characters", of a file.

        Raises:
            ArtifactError: they are not what the exporter writes.
        """
        pages = file.array("map_pages", "int32", PAGES)
        self._table = CharacterTable(pages, file.array("map_entries", "int32"))
        self._text = file.array("map_text", "uint32")
        facts = file.fields("characters")
        # Steps of the normalizer that look at spaces beside each other, and at the ends of a text.
        self._collapses = facts.get("collapses", bool)
        self._strips_left = facts.get("strips_left", bool)
        self._strips_right = facts.get("strips_right", bool)
        self._images = _Images(self._table, self._text)

    def keeps(self, character: str) -> bool:
        """Return whether a character stays itself, whatever stands beside it."""
        return self._table[ord(character)] == ITSELF

    def normalize(self, words: Sequence[str]) -> tuple[list[str], npt.NDArray[np.bool_]]:
        """Return the normalized words, and which of them the normalizer must be asked about, bool (n,).

        A word that becomes empty is one of those. What is returned for such a word has no meaning.
        """
        normalized = list(words)
        lengths = np.fromiter(map(len, normalized), np.int64, len(normalized))
        asked = lengths == 0
        entries = self._table.find(decode("".join(normalized)))
        changes = np.flatnonzero(entries)
        if len(changes):
            rows = np.searchsorted(np.cumsum(lengths), changes, side="right")
            asked[rows[entries[changes] == ASK]] = True
            is_changed = np.zeros(len(normalized), dtype=np.bool_)
            is_changed[rows] = True
            changed = np.flatnonzero(is_changed & ~asked).tolist()
            images = self._translate([normalized[row] for row in changed])
            for row, image in zip(changed, images, strict=True):
                normalized[row] = image
                if not image:
                    asked[row] = True
        if self._collapses or self._strips_left or self._strips_right:
            asked |= np.fromiter(map(self._depends, normalized), np.bool_, len(normalized))
        return normalized, asked

    def normalize_one(self, word: str) -> str | None:
        """Return the normalized word, or None if the normalizer must be asked."""
        try:
            normalized = word.translate(self._images)
        except _AskError:
            return None
        return None if self._depends(normalized) or SEPARATOR in normalized else normalized

    def _translate(self, words: list[str]) -> list[str]:
        """Return the words with their characters replaced. No word contains the separator."""
        try:
            return SEPARATOR.join(words).translate(self._images).split(SEPARATOR) if words else []
        except _AskError:  # one of the images cannot be read, so the file is damaged
            return [self.normalize_one(word) or "" for word in words]

    def _depends(self, normalized: str) -> bool:
        """Return whether a word was empty, or its spaces made the normalizer look beside them."""
        return (
            not normalized
            or (self._collapses and "  " in normalized)
            or (self._strips_left and normalized[0] == " ")
            or (self._strips_right and normalized[-1] == " ")
        )


class _AskError(Exception):
    """A character cannot be mapped by itself."""


class _Images(Remembered["int | str"]):
    """What the characters met so far become."""

    def __init__(self, table: CharacterTable, text: npt.NDArray[np.uint32]) -> None:
        super().__init__()
        self._table = table
        self._text = text

    def find(self, code: int) -> int | str:
        entry = self._table[code]
        if entry == ITSELF or code == ord(SEPARATOR):
            return code
        if entry == SPACED:
            return f" {chr(code)} "
        if entry < 0:
            raise _AskError
        start, length = divmod(entry, LONGEST_IMAGE + 1)
        codes = self._text[start : start + length].tolist()
        if len(codes) != length or not all(map(_is_character, codes)):
            raise _AskError
        # A number for a single character is faster.
        return codes[0] if length == 1 else "".join(map(chr, codes))


def _is_character(code: int) -> bool:
    return code <= _LAST_CHARACTER and not 0xD800 <= code < 0xE000 and code != ord(SEPARATOR)


def decode(text: str) -> npt.NDArray[np.uint32]:
    """Return the code points of a text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
