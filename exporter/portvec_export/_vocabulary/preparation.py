"""What a tokenizer does to a text before its model gets words, compiled and proven for each character."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from portvec._vocabulary.file import VocabularyFile
from portvec_export._vocabulary.characters import probe_characters
from portvec_export._vocabulary.checks import find_difference, list_hard_words
from portvec_export._vocabulary.errors import NotCompilable
from portvec_export._vocabulary.kinds import probe_kinds
from portvec_export._vocabulary.tables import Arrays


@lru_cache(maxsize=32)
def compile_preparation(
    normalizer: str, pre_tokenizer: str, characters: frozenset[str] | None = None
) -> tuple[dict[str, Any], Arrays]:
    """Return facts and arrays that do the work of a normalizer and a pre-tokenizer, given as JSON.

    They do so for `characters`, or if None for all that Unicode assigns, and leave others to `tokenizers`.
    That is proven for each character. For all characters it takes a second, so the result is kept: many
    models have the same normalizer and pre-tokenizer.

    Raises:
        NotCompilable: the arrays would do something else.
    """
    parts = {
        "normalizer": json.loads(normalizer),
        "pre_tokenizer": json.loads(pre_tokenizer),
        "added_tokens": [],
    }
    facts, arrays = probe_characters(parts, characters)
    arrays |= _probe_kinds(pre_tokenizer)
    file = VocabularyFile({"tokenizer": parts, **facts}, arrays)
    if find_difference(file, list_hard_words(file)) is not None:
        raise NotCompilable("some characters would be normalized or split in another way")
    return facts, arrays


@lru_cache(maxsize=32)
def _probe_kinds(pre_tokenizer: str) -> Arrays:
    # All characters are needed, because a normalizer may write any of them.
    return probe_kinds({"pre_tokenizer": json.loads(pre_tokenizer)})
