"""Splitting normalized words into pre-tokens without `tokenizers`.

The exporter asks the pre-tokenizer which kind each character is of: see `needs_kinds`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from portvec._vocabulary.characters import PAGES, SEPARATOR, CharacterTable, Remembered, decode
from portvec._vocabulary.components import Component, list_steps
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
MOST_KINDS: Final = 4


class PreTokenizer(Protocol):
    """The pre-tokenizer of a tokenizer, for words that a character map has normalized. None may be empty.

    Attributes:
        takes_any: whether words may have been normalized in another way, and have any characters.
    """

    takes_any: bool

    def split(self, words: Sequence[str]) -> tuple[list[str], Ids]:
        """Return the pre-tokens of n words, and how many each word has, int64 (n,)."""

    def split_one(self, word: str) -> list[str]:
        """Return the pre-tokens of one word."""


def open_pre_tokenizer(file: VocabularyFile) -> PreTokenizer | None:
    """Return the pre-tokenizer of a compiled vocabulary, or None if only `tokenizers` can do what it does.

    Raises:
        ArtifactError: the arrays "kind_pages" and "kinds" are needed, and are not what the exporter writes.
    """
    steps = list_steps(file.facts["tokenizer"]["pre_tokenizer"])
    if not can_split(steps):
        return None
    opened: list[PreTokenizer] = []
    shift = 0
    for step in steps:
        if step["type"] == "Metaspace":
            opened.append(_Metaspace(step))
        elif step["type"] == "ByteLevel" and not step["use_regex"]:
            opened.append(_ByteLevel(step, None))
        else:
            kinds = _Kinds(file, shift)
            shift += KIND_BITS
            opened.append(
                _ByteLevel(step, kinds) if step["type"] == "ByteLevel" else _AtKinds(kinds, _isolates(step))
            )
    return opened[0] if len(opened) == 1 else _Chain(opened)


def can_split(steps: Sequence[Component]) -> bool:
    """Return whether the steps of a pre-tokenizer can be done without `tokenizers`."""
    is_known = all(_is_known(step, is_first=step is steps[0]) for step in steps)
    return is_known and sum(map(needs_kinds, steps)) <= MOST_KINDS


def needs_kinds(step: Component) -> bool:
    """Return whether a step of a pre-tokenizer looks at the kinds of characters."""
    return step["type"] != "Metaspace" and bool(step.get("use_regex", True))


def _is_known(step: Component, *, is_first: bool) -> bool:
    kind = step["type"]
    if kind == "Metaspace":
        # A word is what a text begins with, or it begins with a space. A later step sees pieces.
        schemes = ("always", "never", "first") if is_first else ("always", "never")
        mark = step["replacement"]
        return step["prepend_scheme"] in schemes and len(mark) == 1 and mark != SEPARATOR
    if kind == "Punctuation":
        return step["behavior"] in ("Isolated", "Contiguous")
    known = ("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "CharDelimiterSplit", "Digits", "ByteLevel")
    return kind in known


def _isolates(step: Component) -> bool:
    """Return whether each character of the kind OTHER is a pre-token."""
    return (
        step["type"] == "BertPreTokenizer"
        or step.get("behavior") == "Isolated"
        or step.get("individual_digits", False)
    )


class _Kinds:
    """The kinds of characters for one step."""

    def __init__(self, file: VocabularyFile, shift: int) -> None:
        self._table = CharacterTable(file.array("kind_pages", "int32", PAGES), file.array("kinds", "uint8"))
        self._shift = shift

    def __getitem__(self, code: int) -> int:
        return (self._table[code] >> self._shift) & NUMBER

    def find(self, codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
        kinds: npt.NDArray[np.uint8] = (self._table.find(codes) >> np.uint8(self._shift)) & np.uint8(NUMBER)
        return kinds


class _Chain:
    """Steps, each of which splits the pieces of the one before it."""

    def __init__(self, steps: Sequence[PreTokenizer]) -> None:
        self._steps = steps
        self.takes_any = all(step.takes_any for step in steps)

    def split(self, words: Sequence[str]) -> tuple[list[str], Ids]:
        pieces, bounds = list(words), np.arange(len(words) + 1)
        for step in self._steps:
            pieces, counts = step.split(pieces)
            bounds = offsets_of(counts)[bounds]
        return pieces, np.diff(bounds)

    def split_one(self, word: str) -> list[str]:
        pieces = [word]
        for step in self._steps:
            pieces = [part for piece in pieces for part in step.split_one(piece)]
        return pieces


class _AtKinds:
    """Split where the kind changes, and drop white space."""

    takes_any = False  # a kind is known only for characters that are in the map

    def __init__(self, kinds: _Kinds, isolates: bool) -> None:
        self._kinds = kinds
        self._isolates = isolates
        self._signs = _Signs(kinds)
        self._pattern = re.compile("a+|!" if isolates else "a+|!+")

    def split(self, words: Sequence[str]) -> tuple[list[str], Ids]:
        joined = "".join(words)
        kinds = self._kinds.find(decode(joined))
        if not kinds.any():
            return list(words), np.ones(len(words), dtype=np.int64)
        bounds = _bounds(words)
        begins = _starts(bounds, len(kinds))
        begins[1:] |= kinds[1:] != kinds[:-1]
        if self._isolates:
            begins |= kinds == OTHER
        starts = np.flatnonzero(begins)
        kept = kinds[starts] != SPACE
        return _slice(joined, starts, kept), _count(starts[kept], bounds)

    def split_one(self, word: str) -> list[str]:
        signs = word.translate(self._signs)
        if signs.isalpha():
            return [word]
        return [word[match.start() : match.end()] for match in self._pattern.finditer(signs)]


class _Metaspace:
    """Write spaces as a mark, put one before a word that has none, and split before each."""

    def __init__(self, step: Component) -> None:
        self._mark: str = step["replacement"]
        self._prepends = step["prepend_scheme"] != "never"
        self._splits = step["split"]
        # The scheme "first" looks at whether something was dropped from the start of a text.
        self.takes_any = step["prepend_scheme"] != "first"

    def split(self, words: Sequence[str]) -> tuple[list[str], Ids]:
        if not words:
            return [], np.zeros(0, dtype=np.int64)
        mark = self._mark
        joined = SEPARATOR.join(words).replace(" ", mark)
        if self._prepends:
            # Put a mark before every word, and take it away where there was one.
            joined = (SEPARATOR + joined).replace(SEPARATOR, SEPARATOR + mark)
            joined = joined.replace(SEPARATOR + mark + mark, SEPARATOR + mark)[1:]
        marked = joined.split(SEPARATOR)
        counts = np.ones(len(marked), dtype=np.int64)
        if not self._splits or (self._prepends and joined.count(mark) == len(marked)):
            return marked, counts
        several = [row for row, word in enumerate(marked) if word.rfind(mark) > 0]
        pieces: list[str] = []
        start = 0
        for row in several:
            parts = self._cut(marked[row])
            pieces += marked[start:row]
            pieces += parts
            counts[row] = len(parts)
            start = row + 1
        pieces += marked[start:]
        return pieces, counts

    def split_one(self, word: str) -> list[str]:
        marked = word.replace(" ", self._mark)
        if self._prepends and marked[0] != self._mark:
            marked = self._mark + marked
        return self._cut(marked) if self._splits and marked.rfind(self._mark) > 0 else [marked]

    def _cut(self, marked: str) -> list[str]:
        parts = marked.replace(self._mark, SEPARATOR + self._mark).split(SEPARATOR)
        return parts if parts[0] else parts[1:]


class _ByteLevel:
    """Split by GPT-2's pattern, and write each byte of UTF-8 as a character.

    The pattern takes, at each place, the first of these that it finds: a contraction; letters, numbers or
    others, with a space before them; white space up to the last character of it, or all that ends the word.
    """

    takes_any = False

    def __init__(self, step: Component, kinds: _Kinds | None) -> None:
        self._kinds = kinds
        self._prepends = step["add_prefix_space"]
        self._signs = None if kinds is None else _ByteLevelSigns(kinds)
        self._pattern = re.compile(_PATTERN)

    def split(self, words: Sequence[str]) -> tuple[list[str], Ids]:
        if not words:
            return [], np.zeros(0, dtype=np.int64)
        if self._prepends:
            words = [word if word[0] == " " else f" {word}" for word in words]
        joined = "".join(words)
        codes = decode(joined)
        bounds = _bounds(words)
        begins = self._find_begins(codes, bounds)
        starts = np.flatnonzero(begins)
        counts = _count(starts, bounds)
        encoded = np.frombuffer(joined.encode(), dtype=np.uint8)
        if len(encoded) != len(joined):
            starts = np.flatnonzero((encoded & 0xC0) != 0x80)[starts]
        spelled = _BYTE_CODES[encoded].tobytes().decode("utf-16-le")
        return _slice(spelled, starts), counts

    def split_one(self, word: str) -> list[str]:
        if self._prepends and word[0] != " ":
            word = f" {word}"
        if self._signs is None:
            return [_spell(word)]
        signs = word.translate(self._signs)
        return [_spell(word[match.start() : match.end()]) for match in self._pattern.finditer(signs)]

    def _find_begins(self, codes: npt.NDArray[np.uint32], bounds: Ids) -> npt.NDArray[np.bool_]:
        """Return where the pattern begins a pre-token."""
        begins = _starts(bounds, len(codes))
        if self._kinds is None:
            return begins
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
            # The first character of a word is not one that follows. Nothing follows the last word.
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


class _Signs(Remembered[int]):
    """A character for each kind."""

    def __init__(self, kinds: _Kinds) -> None:
        super().__init__()
        self._kinds = kinds

    def find(self, code: int) -> int:
        return ord("a! 0"[self._kinds[code]])


class _ByteLevelSigns(_Signs):
    """A character for each kind, in which contractions and spaces can still be told."""

    def find(self, code: int) -> int:
        if code in _KEPT:
            return code
        sign = super().find(code)
        return ord("\t") if sign == ord(" ") else sign


_SHORT = [ord(letter) for letter in "stmd"]
_LONG = [(ord(first), ord(second)) for first, second in ("ll", "ve", "re")]
_KEPT = frozenset(map(ord, " 'stmdlver"))
_PATTERN = r"'(?:[stmd]|ll|ve|re)| ?[a-z]+| ?0+| ?[!']+|[ \t]+(?![^ \t])|[ \t]+"

# The character that stands for each byte: of Latin-1 where that is visible, or from U+0100 on.
_VISIBLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_BYTE_CODES = np.zeros(256, dtype="<u2")
_BYTE_CODES[_VISIBLE] = _VISIBLE
_BYTE_CODES[_BYTE_CODES == 0] = np.arange(0x100, 0x100 + 256 - len(_VISIBLE))
_BYTE_CHARACTERS = dict(enumerate(map(chr, _BYTE_CODES.tolist())))


def _spell(piece: str) -> str:
    return piece.encode().decode("latin-1").translate(_BYTE_CHARACTERS)


def _bounds(words: Sequence[str]) -> Ids:
    return offsets_of(np.fromiter(map(len, words), np.int64, len(words)))


def _starts(bounds: Ids, size: int) -> npt.NDArray[np.bool_]:
    """Return where one of the runs with these bounds starts, bool (size,)."""
    starts = np.zeros(size, dtype=np.bool_)
    starts[bounds[:-1]] = True
    return starts


def _count(starts: Ids, bounds: Ids) -> Ids:
    """Return how many of the starts are between each two bounds."""
    counts: Ids = np.diff(np.searchsorted(starts, bounds))
    return counts


def _slice(text: str, starts: Ids, kept: npt.NDArray[np.bool_] | None = None) -> list[str]:
    """Return the text from each start to the next, where `kept` says so."""
    ends = np.append(starts[1:], len(text))
    if kept is not None:
        starts, ends = starts[kept], ends[kept]
    return [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
