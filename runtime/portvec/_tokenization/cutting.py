"""Where a text may be cut so that the ids of its words, one after another, are its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers.models import WordPiece

from portvec._tokenization.tokenizer import Ids
from portvec._tokenization.word_table import LONGEST

_PUNCTUATION = b"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_WHITE = b"\t\n\v\f\r\x1c\x1d\x1e\x1f "

# Normalizers that change nothing across a space, if nothing becomes one beside it: see `_space_splitting`.
_LOCAL = {"Precompiled", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"}
_COLLAPSE = {"Regex": " {2,}"}

# Characters that Unicode (17, property Grapheme_Cluster_Break=Prepend) counts to the same user-perceived
# character as what follows them, even a space; Precompiled normalizes those as one.
_PREPENDED = (
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd\U000111c2"
    "\U000111c3\U000113d1\U0001193f\U00011941\U00011a3a\U00011a84\U00011a85\U00011a86\U00011a87\U00011a88"
    "\U00011a89\U00011d46\U00011f02"
)


class Standing(IntEnum):
    """What the ids of a word depend on: its neighbours, or only itself, so that several may be joined."""

    DEPENDS = 0
    ALONE = 1
    JOINS = 2


@dataclass(frozen=True)
class Splitting:
    """How the texts of a tokenizer fall into words.

    Attributes:
        words: maps texts (UTF-8, each ended by a line feed) and their starts to starts and lengths of words.
        standing: what a word's ids depend on.
        whole: parts of text whose presence forbids to cut it.
        fold: bytes that are alike to the tokenizer, for `bytes.translate`.
        words_free_of: a character that no word holds, with a token of its own; None if there is none.
        mark: what the first token of a word that joins begins with, and no other; None if words do not join.
        known: words whose id is known.
    """

    words: Callable[[bytes, Ids], tuple[Ids, Ids]]
    standing: Callable[[str], Standing]
    whole: list[bytes]
    fold: bytes | None = None
    words_free_of: str | None = None
    mark: str | None = None
    known: Callable[[], dict[bytes, int]] = dict


def splitting(tokenizer: HuggingFaceTokenizer) -> Splitting | None:
    """Return where texts may be cut for this tokenizer; None if nowhere that is proven."""
    normalizers = _parts(tokenizer.normalizer, "normalizers")
    pre_tokenizers = _parts(tokenizer.pre_tokenizer, "pretokenizers")
    added = list(tokenizer.get_added_tokens_decoder().values())
    # These are looked for in the normalized text, all others in the text itself.
    if normalizers and any(token.normalized for token in added):
        return None
    whole = [token.content.encode() for token in added]
    kinds = [part["type"] for part in pre_tokenizers]
    if kinds == ["BertPreTokenizer"] and [part["type"] for part in normalizers] == ["BertNormalizer"]:
        return _bert(tokenizer, whole, **normalizers[0])
    if kinds == ["ByteLevel"] and pre_tokenizers[0].get("use_regex", True):
        return _byte_level(tokenizer, whole) if normalizers in ([], [{"type": "NFC"}]) else None
    if kinds in (["Metaspace"], ["WhitespaceSplit", "Metaspace"]):
        metaspace = pre_tokenizers[-1]
        if metaspace.get("split", True) and metaspace["prepend_scheme"] in ("always", "never"):
            return _metaspace(tokenizer, whole, normalizers, metaspace["replacement"])
    return None


def depends_on_position(tokenizer: HuggingFaceTokenizer) -> bool:
    """Tell whether the first part of a text is tokenized in another way than those after an added token."""
    parts = _parts(tokenizer.pre_tokenizer, "pretokenizers")
    return any(part.get("prepend_scheme") == "first" for part in parts)


def _bert(
    tokenizer: HuggingFaceTokenizer, whole: list[bytes], clean_text: bool, lowercase: bool, **_: Any
) -> Splitting | None:
    """WordPiece under BERT's rules: cut at ASCII white space and at both sides of ASCII punctuation.

    The normalizer maps each character by itself, the pre-tokenizer drops white space, splits off
    punctuation and joins nothing. Nothing but itself normalizes to U+0021.
    """
    model = tokenizer.model
    if not clean_text or not isinstance(model, WordPiece) or model.max_input_chars_per_word < LONGEST:
        return None
    # White space is alike to the normalizer, and so are NUL and U+0001, which it drops.
    fold = bytearray(range(256))
    fold[:2], fold[ord("\t")], fold[ord("\n")], fold[ord("\r")] = b"\1\1", 32, 32, 32
    if lowercase:
        fold = bytearray(bytes(fold).lower())

    def known() -> dict[bytes, int]:
        # Letters and digits that are one entry: nothing longer can match, the normalizer changes none.
        return {
            word.encode(): token_id
            for word, token_id in tokenizer.get_vocab(with_added_tokens=False).items()
            if word.isascii() and word.isalnum() and len(word) <= LONGEST
            if not lowercase or word == word.lower()
        }

    return Splitting(
        words=_between_marks,
        standing=lambda _: Standing.ALONE,
        whole=whole,
        fold=bytes(fold),
        words_free_of="!" if tokenizer.token_to_id("!") is not None else None,
        known=known,
    )


def _byte_level(tokenizer: HuggingFaceTokenizer, whole: list[bytes]) -> Splitting:
    """Byte-level BPE with GPT-2's pattern: cut before a space that follows no white space.

    No alternative of the pattern takes white space after anything else, and none looks back.
    """
    normalize = _normalize(tokenizer)

    def standing(word: str) -> Standing:
        if normalize(word)[-1:].isspace():
            return Standing.DEPENDS
        return Standing.JOINS if word[0] == " " and word.count(" ") == 1 else Standing.ALONE

    return Splitting(_before_spaces, standing, [*whole, b"\0"], mark=_mark(whole, "\u0120"))


def _metaspace(
    tokenizer: HuggingFaceTokenizer, whole: list[bytes], normalizers: list[dict[str, Any]], replacement: str
) -> Splitting | None:
    """Unigram or BPE with Metaspace: cut before a space that follows no white space.

    The pre-tokenizer splits before each space. Where the normalizer makes one of several, they must not
    meet across the cut: what a word normalizes to shall start with one, and not end with one.
    """
    collapses = False
    for part in normalizers:
        if part["type"] == "Replace":
            if part["pattern"] != _COLLAPSE or part["content"] not in (" ", replacement):
                return None
            collapses = True
        elif part["type"] == "Strip":
            if part["strip_left"]:
                return None
            collapses = True
        elif part["type"] not in _LOCAL:
            return None
    normalize = _normalize(tokenizer)

    def standing(word: str) -> Standing:
        # The x, so that nothing is stripped from the word.
        normalized = normalize(f"{word}x").replace(replacement, " ")
        if word[0] == " ":
            if normalized[0] != " ":
                return Standing.DEPENDS
            if len(normalized) > 2 and normalized.count(" ") == 1 == len(normalized.split()):
                return Standing.JOINS
        if collapses and (normalized[-2:-1] == " " or normalized[1:2] == " "):
            return Standing.DEPENDS
        return Standing.ALONE

    if any(part["type"] == "Precompiled" for part in normalizers):
        whole = whole + [c.encode() for c in _PREPENDED if not _keeps_space(normalize, c)]
    mark = _mark(whole, replacement)
    return Splitting(_before_spaces, standing, [*whole, b"\0", replacement.encode()], mark=mark)


def _mark(whole: list[bytes], mark: str) -> str | None:
    """Return the mark, unless words that are joined may hold an added token that none of them holds."""
    return None if any(b" " in part for part in whole) else mark


def _keeps_space(normalize: Callable[[str], str], character: str) -> bool:
    return normalize(f"x{character} y") == normalize(f"x{character}") + normalize(" y")


def _normalize(tokenizer: HuggingFaceTokenizer) -> Callable[[str], str]:
    normalizer = tokenizer.normalizer  # each access makes a new object
    return str if normalizer is None else normalizer.normalize_str


def _parts(component: Any, name: str) -> list[dict[str, Any]]:
    """Return the steps of a normalizer or pre-tokenizer."""
    if component is None:
        return []
    state: dict[str, Any] = json.loads(component.__getstate__())
    return list(_flat(state, name))


def _flat(state: dict[str, Any], name: str) -> Iterable[dict[str, Any]]:
    if state["type"] != "Sequence":
        yield state
    for part in state.get(name, ()):
        yield from _flat(part, name)


_KINDS = bytes(2 if code in _PUNCTUATION else code != ord(" ") for code in range(256))
_NOT_WHITE = bytes(code not in _WHITE for code in range(256))


def _between_marks(text: bytes, _: Ids) -> tuple[Ids, Ids]:
    kinds = np.frombuffer(text.translate(_KINDS), dtype=np.uint8)
    mark, inside = kinds == 2, kinds == 1
    begins, ends = mark.copy(), mark.copy()
    begins[:1] |= inside[:1]
    begins[1:] |= inside[1:] & ~inside[:-1]
    ends[:-1] |= inside[:-1] & ~inside[1:]
    starts = np.flatnonzero(begins)
    return starts, np.flatnonzero(ends) - starts + 1


def _before_spaces(text: bytes, bounds: Ids) -> tuple[Ids, Ids]:
    begins = np.frombuffer(text, dtype=np.uint8) == ord(" ")
    begins[1:] &= np.frombuffer(text.translate(_NOT_WHITE), dtype=np.bool_)[:-1]
    begins[bounds[-1] :] = False
    begins[bounds] = True  # of empty texts too, and behind the last one
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts)
    lengths -= np.isin(starts[1:], bounds, assume_unique=True)  # the line feed
    kept = lengths > 0
    return starts[:-1][kept], lengths[kept]
