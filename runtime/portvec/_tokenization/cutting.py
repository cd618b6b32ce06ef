"""Where a text may be cut into words so that the concatenated ids of the words are the ids of the text.

Two rules are proven: `CutAtPunctuation` for BERT's tokenizers, and `CutBeforeSpaces` for those of
sentencepiece (`MetaspaceWords`) and GPT-2 (`ByteLevelWords`), and for those that drop white space
(`SpacedWords`).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np

from portvec._tokenization.preparation import Preparation
from portvec._vocabulary.token_ids import Ids
from portvec._vocabulary.word_table import DEPENDS

_PUNCTUATION = b"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_WHITE_SPACE = b"\t\n\v\f\r\x1c\x1d\x1e\x1f "

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

# Translation tables: 0 for a space, 1 for other bytes, 2 for punctuation; whether a byte is not white space.
_KINDS = bytes(2 if code in _PUNCTUATION else code != ord(" ") for code in range(256))
_IS_VISIBLE = bytes(code not in _WHITE_SPACE for code in range(256))

# The place before a space that follows a character which is not in _WHITE_SPACE.
_BEFORE_WORD = f"(?<=[^{_WHITE_SPACE.decode()}])(?= )"

# What the ids of a word depend on: the word only. The alternative is DEPENDS: on its neighbours as well.
ALONE = 0

# Characters that Unicode 17 (property Grapheme_Cluster_Break=Prepend) puts into one grapheme with what
# follows, even with a space. The normalizer Precompiled maps graphemes as a whole. `re` compiles a pattern
# when it is first used.
_PREPENDED = (
    "[\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd\U000111c2"
    "\U000111c3\U000113d1\U0001193f\U00011941\U00011a3a\U00011a84\U00011a85\U00011a86\U00011a87\U00011a88"
    "\U00011a89\U00011d46\U00011f02]"
)


class CuttingRules(Protocol):
    """How the texts of a tokenizer are cut into words.

    Attributes:
        uncuttable: parts of a text whose presence means that the text must not be cut.
        fold: table for `bytes.translate` that maps bytes which the tokenizer does not tell apart to one; None
            if there are none.
        separator: a character that no word contains and that splits words; None if there is none.
        mark: what the first token of a word that joins begins with, and no other; None if words do not join.
        space: what a word begins with if a word is before it in the text.
    """

    uncuttable: list[str]
    fold: bytes | None
    separator: str | None
    mark: str | None
    space: str

    def cut(self, text: bytes, bounds: Ids) -> tuple[Ids, Ids]:
        """Return the starts and lengths, in bytes, of the words in texts that start at `bounds`.

        The texts are UTF-8, and a line feed ends each. `bounds` has the end of the last one too.
        """

    def cut_one(self, text: str) -> list[str]:
        """Return the words of one text."""

    def judge(self, word: str, normalized: str | None = None) -> int:
        """Return what the ids of a word, as `cut` gives it, depend on: ALONE or DEPENDS.

        `normalized` is the normalized word, if that is known.

        A number above ALONE says that they depend on the word only, also if another word follows without a
        separator, and that its first token can then be told from the others. It is the number of characters
        that its tokens spell.
        """

    def may_depend(self, end: str) -> bool:
        """Return whether `judge` must be asked about a word that has this character at its end.

        `end` is of the normalized word, and empty if nothing is left of it. All characters of the word must
        be such that the normalizer maps them by themselves, whatever stands beside them.
        """

    def keeps(self, word: str) -> bool:
        """Return whether a word is certain to reach the model as it is."""


class CutAtPunctuation:
    """Words under BERT's rules: cut at ASCII white space and at both sides of ASCII punctuation.

    The normalizer maps each character by itself. The pre-tokenizer drops white space, splits off punctuation
    and joins nothing. Only U+0021 normalizes to "!", so no word contains it.
    """

    separator: str | None = "!"
    mark: str | None = None
    space = ""

    def __init__(self, preparation: Preparation) -> None:
        self.uncuttable = _contents(preparation)
        self._lowercase = preparation.normalizers[0]["lowercase"]
        # The normalizer turns these controls into a space, and drops NUL and U+0001.
        fold = bytearray(range(256))
        fold[:2], fold[ord("\t")], fold[ord("\n")], fold[ord("\r")] = b"\1\1", 32, 32, 32
        self.fold: bytes | None = bytes(fold).lower() if self._lowercase else bytes(fold)

    def cut(self, text: bytes, bounds: Ids) -> tuple[Ids, Ids]:
        """Return the starts and lengths of words and of punctuation marks."""
        kinds = np.frombuffer(text.translate(_KINDS), dtype=np.uint8)
        mark, inside = kinds == 2, kinds == 1
        begins, ends = mark.copy(), mark.copy()
        begins[:1] |= inside[:1]
        begins[1:] |= inside[1:] & ~inside[:-1]
        ends[:-1] |= inside[:-1] & ~inside[1:]
        starts = np.flatnonzero(begins)
        return starts, np.flatnonzero(ends) - starts + 1

    def judge(self, word: str, normalized: str | None = None) -> int:
        """Return that the ids of every word depend on the word only."""
        return ALONE

    def cut_one(self, text: str) -> list[str]:
        """Return what is between spaces, which may be several words."""
        return [part for part in text.split(" ") if part]

    def may_depend(self, end: str) -> bool:
        """Return False, as no word depends on its neighbours."""
        return False

    def keeps(self, word: str) -> bool:
        """Return whether a word is of ASCII letters and digits, in the case that the normalizer leaves."""
        return word.isascii() and word.isalnum() and not (self._lowercase and word != word.lower())


class CutBeforeSpaces(ABC):
    """Cut before a space that follows no white space."""

    fold: bytes | None = None
    separator: str | None = None
    space = " "

    def __init__(self, preparation: Preparation, mark: str | None) -> None:
        self.uncuttable = [*_contents(preparation), "\0"]
        self._normalize = preparation.normalize
        # Joined words could form an added token with a space in it that none of them contains.
        self.mark = None if any(" " in part for part in self.uncuttable) else mark

    @abstractmethod
    def judge(self, word: str, normalized: str | None = None) -> int:
        """Return what the ids of a word depend on."""

    def cut(self, text: bytes, bounds: Ids) -> tuple[Ids, Ids]:
        """Return the starts and lengths of words. The space before a word belongs to it."""
        begins = np.frombuffer(text, dtype=np.uint8) == ord(" ")
        begins[1:] &= np.frombuffer(text.translate(_IS_VISIBLE), dtype=np.bool_)[:-1]
        begins[bounds[-1] :] = False
        begins[bounds] = True  # the start of every text, also of an empty one, and the end of the last
        starts = np.flatnonzero(begins)
        lengths = np.diff(starts)
        lengths[np.searchsorted(starts, bounds[1:]) - 1] -= 1  # without the line feed
        kept = lengths > 0
        return starts[:-1][kept], lengths[kept]

    def cut_one(self, text: str) -> list[str]:
        """Return the words of one text. The space before a word belongs to it."""
        return [word for word in re.split(_BEFORE_WORD, text) if word]

    def may_depend(self, end: str) -> bool:
        """Return whether nothing is left of a word, or white space is at its end."""
        return not end or end.isspace()

    def keeps(self, word: str) -> bool:
        """Return False: the model gets words with a mark."""
        return False


class ByteLevelWords(CutBeforeSpaces):
    """Words of byte-level BPE with GPT-2's pattern.

    No alternative of the pattern takes white space after anything else, and none looks back.
    """

    def __init__(self, preparation: Preparation) -> None:
        super().__init__(preparation, mark="\u0120")

    def judge(self, word: str, normalized: str | None = None) -> int:
        """Return what the ids of a word depend on. The pattern may split white space at the end."""
        if normalized is None:
            normalized = self._normalize(word)
        if normalized[-1:].isspace():
            return DEPENDS
        # The tokens are written with a character for each byte.
        joins = word[0] == " " and word.count(" ") == 1
        return len(normalized.encode()) if joins else ALONE


class MetaspaceWords(CutBeforeSpaces):
    """Words under Metaspace, whose pre-tokenizer splits before each space.

    The normalizer may strip the end of a text and collapse spaces, so nothing that either could change may be
    at the end of a word.
    """

    def __init__(self, preparation: Preparation) -> None:
        metaspace = preparation.pre_tokenizers[-1]
        replacement = metaspace["replacement"]
        super().__init__(preparation, replacement)
        self.uncuttable.append(replacement)
        kinds = {part["type"] for part in preparation.normalizers}
        self._maps_graphemes = "Precompiled" in kinds
        self._strips = "Strip" in kinds
        self._collapses = "Replace" in kinds
        self._spaces = (" ", replacement)
        # WhitespaceSplit drops the space that would become a mark.
        if len(preparation.pre_tokenizers) > 1 and metaspace["prepend_scheme"] != "always":
            self.mark = None

    def judge(self, word: str, normalized: str | None = None) -> int:
        """Return what the ids of a word depend on."""
        if self._maps_graphemes and re.search(_PREPENDED, word):
            return DEPENDS
        if normalized is None:
            normalized = self._normalize(word)
        # Metaspace may give a mark to an empty text.
        if not normalized or (self._collapses and normalized.endswith(self._spaces)):
            return DEPENDS
        if self._strips and not self._ends_in_text(word, normalized):
            return DEPENDS
        if word[0] != " ":
            return ALONE
        if not normalized.startswith(self._spaces):
            return DEPENDS
        body = normalized[1:]
        # White space or another mark in it would begin a second word.
        joins = body.split() == [body] and self._spaces[1] not in body
        return len(normalized) if joins else ALONE

    def _ends_in_text(self, word: str, normalized: str) -> bool:
        """Return whether nothing is stripped from the end of a word: a letter after it changes nothing."""
        letter = next((c for c in _LETTERS if self._normalize(c) == c), None)
        return letter is not None and self._normalize(word + letter) == normalized + letter

    def may_depend(self, end: str) -> bool:
        """Return whether nothing is left of a word, or white space or a mark is at its end."""
        return super().may_depend(end) or end in self._spaces


class SpacedWords(CutBeforeSpaces):
    """Words under a pre-tokenizer that drops white space, so that it does not matter what becomes of it."""

    def __init__(self, preparation: Preparation) -> None:
        super().__init__(preparation, mark=None)
        self._maps_graphemes = any(part["type"] == "Precompiled" for part in preparation.normalizers)

    def judge(self, word: str, normalized: str | None = None) -> int:
        """Return what the ids of a word depend on. Precompiled may map its space and what follows as one."""
        if not self._maps_graphemes:
            return ALONE
        if normalized is None:
            normalized = self._normalize(word)
        joins = word[0] == " " and normalized[:1] not in ("", " ")
        return DEPENDS if joins or re.search(_PREPENDED, word) else ALONE

    def may_depend(self, end: str) -> bool:
        """Return False: no normalizer maps by itself what `judge` looks for."""
        return False


def _contents(preparation: Preparation) -> list[str]:
    return [token["content"] for token in preparation.added_tokens]
