"""Where a text may be cut into words so that the concatenated ids of the words are the ids of the text.

Two rules are proven, one class each: `CutAtPunctuation` for BERT's tokenizers, and `CutBeforeSpaces` for
those of sentencepiece (`MetaspaceWords`) and GPT-2 (`ByteLevelWords`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Protocol

import numpy as np

from portvec._tokenization.library import (
    Tokenizer,
    find_id,
    list_added_tokens,
    list_normalizers,
    list_pre_tokenizers,
    longest_word,
    normalize_with,
    read_vocabulary,
)
from portvec._tokenization.token_ids import Ids
from portvec._tokenization.word_table import LONGEST

_PUNCTUATION = b"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_WHITE_SPACE = b"\t\n\v\f\r\x1c\x1d\x1e\x1f "

# Translation tables: 0 for a space, 1 for other bytes, 2 for punctuation; whether a byte is not white space.
_KINDS = bytes(2 if code in _PUNCTUATION else code != ord(" ") for code in range(256))
_IS_VISIBLE = bytes(code not in _WHITE_SPACE for code in range(256))

# Normalizers that change nothing across a space, unless something beside it becomes a space too.
_LOCAL_NORMALIZERS = {"Precompiled", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"}
_COLLAPSE_SPACES = {"Regex": " {2,}"}

# Characters that Unicode 17 (property Grapheme_Cluster_Break=Prepend) puts into one user-perceived character
# with what follows, even with a space. The normalizer Precompiled maps such a character as a whole.
_PREPENDED = (
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd\U000111c2"
    "\U000111c3\U000113d1\U0001193f\U00011941\U00011a3a\U00011a84\U00011a85\U00011a86\U00011a87\U00011a88"
    "\U00011a89\U00011d46\U00011f02"
)


class Standing(IntEnum):
    """What the ids of a word depend on."""

    DEPENDS = 0  # on its neighbours
    ALONE = 1  # on the word only
    JOINS = 2  # on the word only, also if another word follows without a separator


class CuttingRules(Protocol):
    """How the texts of a tokenizer are cut into words.

    Attributes:
        uncuttable: parts of a text, UTF-8, whose presence means that the text must not be cut.
        fold: table for `bytes.translate` that maps bytes which the tokenizer does not tell apart to one; None
            if there are none.
        separator: a character that no word contains and that has a token of its own; None if there is none.
        mark: what the first token of a word that joins begins with, and no other; None if words do not join.
    """

    uncuttable: list[bytes]
    fold: bytes | None
    separator: str | None
    mark: str | None

    def cut(self, text: bytes, bounds: Ids) -> tuple[Ids, Ids]:
        """Return the starts and lengths, in bytes, of the words in texts that start at `bounds`.

        The texts are UTF-8, and a line feed ends each. `bounds` has the end of the last one too.
        """

    def judge(self, word: str) -> Standing:
        """Return what the ids of a word depend on."""

    def list_known_words(self) -> dict[bytes, int]:
        """Return words, as `cut` gives them, whose only id is known without tokenizing them."""


def find_cutting_rules(tokenizer: Tokenizer) -> CuttingRules | None:
    """Return the rules for this tokenizer, or None if there are none that are proven."""
    normalizers = list_normalizers(tokenizer)
    pre_tokenizers = list_pre_tokenizers(tokenizer)
    added = list_added_tokens(tokenizer)
    # Such tokens are searched for in the normalized text, all others in the text itself.
    if normalizers and any(token.normalized for token in added):
        return None
    uncuttable = [token.content.encode() for token in added]
    kinds = [part["type"] for part in pre_tokenizers]
    if kinds == ["BertPreTokenizer"] and [part["type"] for part in normalizers] == ["BertNormalizer"]:
        longest = longest_word(tokenizer)
        if longest is not None and longest >= LONGEST and normalizers[0]["clean_text"]:
            return CutAtPunctuation(tokenizer, uncuttable, lowercase=normalizers[0]["lowercase"])
    elif kinds == ["ByteLevel"] and pre_tokenizers[0].get("use_regex", True):
        if normalizers in ([], [{"type": "NFC"}]):
            return ByteLevelWords(tokenizer, uncuttable)
    elif kinds in (["Metaspace"], ["WhitespaceSplit", "Metaspace"]):
        metaspace = pre_tokenizers[-1]
        if metaspace.get("split", True) and metaspace["prepend_scheme"] in ("always", "never"):
            return MetaspaceWords.find(tokenizer, uncuttable, normalizers, metaspace["replacement"])
    return None


class CutAtPunctuation:
    """WordPiece under BERT's rules: cut at ASCII white space and at both sides of ASCII punctuation.

    The normalizer maps each character by itself. The pre-tokenizer drops white space, splits off punctuation
    and joins nothing. Only U+0021 normalizes to "!", so no word contains it.
    """

    mark: str | None = None

    def __init__(self, tokenizer: Tokenizer, uncuttable: list[bytes], *, lowercase: bool) -> None:
        self.uncuttable = uncuttable
        self.separator: str | None = "!" if find_id(tokenizer, "!") is not None else None
        self._tokenizer = tokenizer
        self._lowercase = lowercase
        # The normalizer turns these controls into a space, and drops NUL and U+0001.
        fold = bytearray(range(256))
        fold[:2], fold[ord("\t")], fold[ord("\n")], fold[ord("\r")] = b"\1\1", 32, 32, 32
        self.fold: bytes | None = bytes(fold).lower() if lowercase else bytes(fold)

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

    def judge(self, word: str) -> Standing:
        """Return that every word stands alone."""
        return Standing.ALONE

    def list_known_words(self) -> dict[bytes, int]:
        """Return the vocabulary's words of ASCII letters and digits.

        The normalizer changes none of them, and no longer piece can match.
        """
        return {
            word.encode(): token_id
            for word, token_id in read_vocabulary(self._tokenizer, with_added=False).items()
            if word.isascii() and word.isalnum() and len(word) <= LONGEST
            if not self._lowercase or word == word.lower()
        }


class CutBeforeSpaces(ABC):
    """Cut before a space that follows no white space."""

    fold: bytes | None = None
    separator: str | None = None

    def __init__(self, tokenizer: Tokenizer, uncuttable: list[bytes], mark: str) -> None:
        self.uncuttable = uncuttable
        self._normalize = normalize_with(tokenizer)
        # Joined words could form an added token with a space in it that none of them contains.
        self.mark: str | None = None if any(b" " in part for part in uncuttable) else mark

    @abstractmethod
    def judge(self, word: str) -> Standing:
        """Return what the ids of a word depend on."""

    def cut(self, text: bytes, bounds: Ids) -> tuple[Ids, Ids]:
        """Return the starts and lengths of words. The space before a word belongs to it."""
        begins = np.frombuffer(text, dtype=np.uint8) == ord(" ")
        begins[1:] &= np.frombuffer(text.translate(_IS_VISIBLE), dtype=np.bool_)[:-1]
        begins[bounds[-1] :] = False
        begins[bounds] = True  # the start of every text, also of an empty one, and the end of the last
        starts = np.flatnonzero(begins)
        lengths = np.diff(starts)
        lengths -= np.isin(starts[1:], bounds, assume_unique=True)  # without the line feed
        kept = lengths > 0
        return starts[:-1][kept], lengths[kept]

    def list_known_words(self) -> dict[bytes, int]:
        """Return no words."""
        return {}


class ByteLevelWords(CutBeforeSpaces):
    """Words of byte-level BPE with GPT-2's pattern.

    No alternative of the pattern takes white space after anything else, and none looks back.
    """

    def __init__(self, tokenizer: Tokenizer, uncuttable: list[bytes]) -> None:
        super().__init__(tokenizer, uncuttable, mark="\u0120")
        self.uncuttable = [*uncuttable, b"\0"]

    def judge(self, word: str) -> Standing:
        """Return DEPENDS for a word that ends in white space, which the pattern may split."""
        if self._normalize(word)[-1:].isspace():
            return Standing.DEPENDS
        return Standing.JOINS if word[0] == " " and word.count(" ") == 1 else Standing.ALONE


class MetaspaceWords(CutBeforeSpaces):
    """Words of Unigram or BPE with Metaspace, whose pre-tokenizer splits before each space.

    Where the normalizer collapses spaces, two of them must not meet across a cut: a word must not end with
    one once it is normalized, and must still begin with one.
    """

    def __init__(
        self, tokenizer: Tokenizer, uncuttable: list[bytes], replacement: str, *, collapses: bool
    ) -> None:
        super().__init__(tokenizer, uncuttable, mark=replacement)
        self.uncuttable = [*uncuttable, b"\0", replacement.encode()]
        self._replacement = replacement
        self._collapses = collapses

    @classmethod
    def find(
        cls,
        tokenizer: Tokenizer,
        uncuttable: list[bytes],
        normalizers: list[dict[str, Any]],
        replacement: str,
    ) -> MetaspaceWords | None:
        """Return the rules, or None if a normalizer is not known to keep words apart."""
        collapses = False
        for part in normalizers:
            if part["type"] == "Replace":
                if part["pattern"] != _COLLAPSE_SPACES or part["content"] not in (" ", replacement):
                    return None
                collapses = True
            elif part["type"] == "Strip":
                if part["strip_left"]:
                    return None
                collapses = True
            elif part["type"] not in _LOCAL_NORMALIZERS:
                return None
        if any(part["type"] == "Precompiled" for part in normalizers):
            normalize = normalize_with(tokenizer)
            joining = [c.encode() for c in _PREPENDED if not _keeps_space(normalize, c)]
            uncuttable = [*uncuttable, *joining]
        return cls(tokenizer, uncuttable, replacement, collapses=collapses)

    def judge(self, word: str) -> Standing:
        """Return what the ids of a word depend on, given what it normalizes to."""
        # The x keeps a normalizer from stripping the end of the word.
        normalized = self._normalize(f"{word}x").replace(self._replacement, " ")
        if word[0] == " ":
            if normalized[0] != " ":
                return Standing.DEPENDS
            if len(normalized) > 2 and normalized.count(" ") == 1 == len(normalized.split()):
                return Standing.JOINS
        if self._collapses and (normalized[-2:-1] == " " or normalized[1:2] == " "):
            return Standing.DEPENDS
        return Standing.ALONE


def _keeps_space(normalize: Callable[[str], str], character: str) -> bool:
    """Return whether a space after the character is normalized by itself."""
    return normalize(f"x{character} y") == normalize(f"x{character}") + normalize(" y")
