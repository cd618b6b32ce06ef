"""For which tokenizers a rule is proven by which texts may be cut into words."""

from __future__ import annotations

from typing import Any

from portvec._tokenization.cutting import (
    ByteLevelWords,
    CutAtPunctuation,
    CuttingRules,
    MetaspaceWords,
    SpacedWords,
)
from portvec._tokenization.preparation import Preparation

# Normalizers that change nothing across a space, unless something beside it becomes a space too.
_LOCAL_NORMALIZERS = {"Precompiled", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"}
_COLLAPSE_SPACES = {"Regex": " {2,}"}

# Pre-tokenizers that drop white space and join nothing across it, and those that may come after one of them.
_DROP_SPACES = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
_AFTER_SPACES = _DROP_SPACES | {"Digits", "Punctuation"}


def find_cutting_rules(preparation: Preparation) -> CuttingRules | None:
    """Return the rules for this tokenizer, or None if there are none that are proven."""
    normalizers, pre_tokenizers = preparation.normalizers, preparation.pre_tokenizers
    # Such tokens are searched for in the normalized text, all others in the text itself.
    if normalizers and any(token["normalized"] for token in preparation.added_tokens):
        return None
    kinds = [part["type"] for part in pre_tokenizers]
    is_bert = kinds == ["BertPreTokenizer"] and [part["type"] for part in normalizers] == ["BertNormalizer"]
    if is_bert and normalizers[0]["clean_text"]:
        return CutAtPunctuation(preparation)
    if kinds == ["ByteLevel"] and pre_tokenizers[0].get("use_regex", True):
        if normalizers in ([], [{"type": "NFC"}]):
            return ByteLevelWords(preparation)
    elif kinds in (["Metaspace"], ["WhitespaceSplit", "Metaspace"]):
        metaspace = pre_tokenizers[-1]
        # Metaspace gives no further mark to a word that begins with a space, unless that was dropped before.
        schemes = ("always", "never", "first") if kinds == ["Metaspace"] else ("always", "never")
        if (
            metaspace.get("split", True)
            and metaspace["prepend_scheme"] in schemes
            and all(_keeps_words_apart(part, metaspace["replacement"]) for part in normalizers)
        ):
            return MetaspaceWords(preparation)
    elif (
        kinds
        and kinds[0] in _DROP_SPACES
        and _AFTER_SPACES.issuperset(kinds[1:])
        and all(part["type"] == "BertNormalizer" or _keeps_words_apart(part, " ") for part in normalizers)
    ):
        return SpacedWords(preparation)
    return None


def _keeps_words_apart(normalizer: dict[str, Any], replacement: str) -> bool:
    """Return whether a step of a normalizer changes nothing across a space, unless spaces meet there."""
    if normalizer["type"] == "Replace":
        return normalizer["pattern"] == _COLLAPSE_SPACES and normalizer["content"] in (" ", replacement)
    if normalizer["type"] == "Strip":
        return not normalizer["strip_left"]
    return normalizer["type"] in _LOCAL_NORMALIZERS
