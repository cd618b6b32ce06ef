"""Splitting normalized words into pre-tokens without `tokenizers`.

The exporter asks the pre-tokenizer which kind each character is of: see `needs_kinds`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from portvec._vocabulary.byte_level import ByteLevel
from portvec._vocabulary.characters import SEPARATOR, decode
from portvec._vocabulary.components import Component, list_steps
from portvec._vocabulary.kinds import (
    KIND_BITS,
    OTHER,
    SPACE,
    Kinds,
    Signs,
    bounds_of,
    count_between,
    cut_at,
    mark_starts,
)
from portvec._vocabulary.token_ids import Ids, offsets_of

if TYPE_CHECKING:
    from portvec._vocabulary.file import VocabularyFile

# Steps that look at kinds: a number in the table has room for so many.
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
        else:
            kinds = Kinds(file, shift)
            shift += KIND_BITS
            opened.append(
                ByteLevel(step, kinds) if step["type"] == "ByteLevel" else _AtKinds(kinds, _isolates(step))
            )
    return opened[0] if len(opened) == 1 else _Chain(opened)


def can_split(steps: Sequence[Component]) -> bool:
    """Return whether the steps of a pre-tokenizer can be done without `tokenizers`."""
    is_known = all(_is_known(step, is_first=step is steps[0]) for step in steps)
    return is_known and sum(map(needs_kinds, steps)) <= MOST_KINDS


def needs_kinds(step: Component) -> bool:
    """Return whether a step of a pre-tokenizer looks at the kinds of characters."""
    return bool(step["type"] != "Metaspace")


def _is_known(step: Component, *, is_first: bool) -> bool:
    kind = step["type"]
    if kind == "Metaspace":
        # A word is what a text begins with, or it begins with a space. A later step sees pieces.
        schemes = ("always", "never", "first") if is_first else ("always", "never")
        mark: str = step["replacement"]
        is_known = step["prepend_scheme"] in schemes and bool(step["split"])
        return is_known and len(mark) == 1 and mark != SEPARATOR
    if kind == "Punctuation":
        return step["behavior"] in ("Isolated", "Contiguous")
    if kind == "ByteLevel":
        return bool(step["use_regex"])
    return kind in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "Digits")


def _isolates(step: Component) -> bool:
    """Return whether each character of the kind OTHER is a pre-token."""
    return (
        step["type"] == "BertPreTokenizer"
        or step.get("behavior") == "Isolated"
        or step.get("individual_digits", False)
    )


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

    def __init__(self, kinds: Kinds, isolates: bool) -> None:
        self._kinds = kinds
        self._isolates = isolates
        self._signs = Signs(kinds)
        self._pattern = re.compile("a+|!" if isolates else "a+|!+")

    def split(self, words: Sequence[str]) -> tuple[list[str], Ids]:
        joined = "".join(words)
        kinds = self._kinds.find(decode(joined))
        if not kinds.any():
            return list(words), np.ones(len(words), dtype=np.int64)
        bounds = bounds_of(words)
        begins = mark_starts(bounds, len(kinds))
        begins[1:] |= kinds[1:] != kinds[:-1]
        if self._isolates:
            begins |= kinds == OTHER
        starts = np.flatnonzero(begins)
        kept = kinds[starts] != SPACE
        return cut_at(joined, starts, kept), count_between(starts[kept], bounds)

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
        if self._prepends and joined.count(mark) == len(marked):
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
        return self._cut(marked) if marked.rfind(self._mark) > 0 else [marked]

    def _cut(self, marked: str) -> list[str]:
        parts = marked.replace(self._mark, SEPARATOR + self._mark).split(SEPARATOR)
        return parts if parts[0] else parts[1:]
