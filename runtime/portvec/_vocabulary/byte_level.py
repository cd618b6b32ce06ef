"""Words under GPT-2's pattern, whose bytes are written as characters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from portvec._vocabulary.characters import decode
from portvec._vocabulary.components import Component
from portvec._vocabulary.kinds import SPACE, Kinds, Signs, bounds_of, count_between, cut_at, mark_starts
from portvec._vocabulary.token_ids import Ids

if TYPE_CHECKING:
    import numpy.typing as npt


class ByteLevel:
    """Split by GPT-2's pattern, and write each byte of UTF-8 as a character.

    The pattern takes, at each place, the first of these that it finds: a contraction; letters, numbers or
    others, with a space before them; white space up to the last character of it, or all that ends the word.
    """

    takes_any = False

    def __init__(self, step: Component, kinds: Kinds) -> None:
        self._kinds = kinds
        self._prepends = step["add_prefix_space"]
        self._signs = _Signs(kinds)
        self._pattern = re.compile(_PATTERN)

    def split(self, words: Sequence[str]) -> tuple[list[str], Ids]:
        if not words:
            return [], np.zeros(0, dtype=np.int64)
        if self._prepends:
            words = [word if word[0] == " " else f" {word}" for word in words]
        joined = "".join(words)
        codes = decode(joined)
        bounds = bounds_of(words)
        begins = self._find_begins(codes, bounds)
        starts = np.flatnonzero(begins)
        counts = count_between(starts, bounds)
        encoded = np.frombuffer(joined.encode(), dtype=np.uint8)
        if len(encoded) != len(joined):
            starts = np.flatnonzero((encoded & 0xC0) != 0x80)[starts]
        spelled = BYTE_CODES[encoded].tobytes().decode("utf-16-le")
        return cut_at(spelled, starts), counts

    def split_one(self, word: str) -> list[str]:
        if self._prepends and word[0] != " ":
            word = f" {word}"
        signs = word.translate(self._signs)
        return [_spell(word[match.start() : match.end()]) for match in self._pattern.finditer(signs)]

    def _find_begins(self, codes: npt.NDArray[np.uint32], bounds: Ids) -> npt.NDArray[np.bool_]:
        """Return where the pattern begins a pre-token."""
        begins = mark_starts(bounds, len(codes))
        kinds = self._kinds.find(codes)
        starts_word = begins.copy()
        is_white = kinds == SPACE
        # The last character of white space is on its own, or with what follows.
        is_last = is_white.copy()
        is_last[:-1] &= ~is_white[1:] & ~starts_word[1:]
        is_last[-1:] = False
        begins |= is_last
        begins[1:] |= (kinds[1:] != kinds[:-1]) & (codes[:-1] != ord(" "))
        apostrophes = np.flatnonzero(begins & (codes == ord("'")))
        if len(apostrophes):
            # A contraction ends with its word, so what begins the next word does not count.
            following = np.concatenate([np.where(starts_word, 0, codes), [0, 0, 0]])
            one, two = following[apostrophes + 1], following[apostrophes + 2]
            length = np.where(np.isin(one, _SHORT), 2, 0)
            for first, second in _LONG:
                length[(one == first) & (two == second)] = 3
            is_found = length > 0
            begins[apostrophes[is_found] + 1] = False
            ends = apostrophes[is_found] + length[is_found]
            begins[ends[ends < len(begins)]] = True
        return begins


class _Signs(Signs):
    """A character for each kind. Spaces, and what contractions consist of, stay as they are."""

    def find(self, code: int) -> int:
        if code in _KEPT:
            return code
        sign = super().find(code)
        return ord("\t") if sign == ord(" ") else sign


_SHORT = [ord(letter) for letter in "stmd"]
_LONG = [(ord(first), ord(second)) for first, second in ("ll", "ve", "re")]
_KEPT = frozenset(map(ord, " 'stmdlver"))
# GPT-2's pattern for signs. A letter is "a" or itself, a number "0", white space " " or a tab, all else "!"
# or "'".
_PATTERN = r"'(?:[stmd]|ll|ve|re)| ?[a-z]+| ?0+| ?[!']+|[ \t]+(?![^ \t])|[ \t]+"

# The character that stands for each byte: of Latin-1 where that is visible, or from U+0100 on.
_VISIBLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
BYTE_CODES = np.zeros(256, dtype="<u2")
BYTE_CODES[_VISIBLE] = _VISIBLE
BYTE_CODES[BYTE_CODES == 0] = np.arange(0x100, 0x100 + 256 - len(_VISIBLE))
_BYTE_CHARACTERS = dict(enumerate(map(chr, BYTE_CODES.tolist())))


def _spell(piece: str) -> str:
    return piece.encode().decode("latin-1").translate(_BYTE_CHARACTERS)
