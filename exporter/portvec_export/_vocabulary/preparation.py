"""What a tokenizer does to a text before its model gets words, compiled and proven for each character."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import numpy as np

from portvec._itertools import batched
from portvec._tokenization.cutting import find_cutting_rules
from portvec._tokenization.preparation import Preparation
from portvec._tokenization.skeleton import Skeleton
from portvec._vocabulary.characters import CharacterMap
from portvec._vocabulary.file import VocabularyFile
from portvec._vocabulary.pre_tokens import open_pre_tokenizer
from portvec_export._vocabulary.characters import probe_characters
from portvec_export._vocabulary.errors import NotCompilable
from portvec_export._vocabulary.kinds import probe_kinds
from portvec_export._vocabulary.normalizer_steps import list_assigned
from portvec_export._vocabulary.tables import Arrays

_BATCH = 20_000


@lru_cache(maxsize=32)
def compile_preparation(normalizer: str, pre_tokenizer: str) -> tuple[dict[str, Any], Arrays]:
    """Return facts and arrays that do the work of a normalizer and a pre-tokenizer, given as JSON.

    That is proven for each character that Unicode assigns. It takes a second, and many models share them.

    Raises:
        NotCompilable: the arrays would do something else.
    """
    parts = {
        "normalizer": json.loads(normalizer),
        "pre_tokenizer": json.loads(pre_tokenizer),
        "added_tokens": [],
    }
    facts, arrays = probe_characters(parts)
    arrays |= probe_kinds(parts)
    _check(VocabularyFile({"tokenizer": parts, **facts}, arrays))
    return facts, arrays


def _check(file: VocabularyFile) -> None:
    """Compare the pre-tokens of words with each character: at their start, inside, beside itself, at the end."""
    pre_tokenizer = open_pre_tokenizer(file)
    if pre_tokenizer is None:  # it is left to `tokenizers`
        return
    parts = file.facts["tokenizer"]
    characters, skeleton = CharacterMap(file), Skeleton(parts)
    rules = find_cutting_rules(Preparation.of(parts, skeleton.normalize))
    space = rules.space if rules else ""
    for words in batched((f"{space}{c}a{c}{c}b{c}" for c in list_assigned()), _BATCH):
        normalized, asks = characters.normalize(words)
        rows = np.flatnonzero(~asks).tolist()
        pieces, counts = pre_tokenizer.split([normalized[row] for row in rows])
        expected, items, offsets = skeleton.split([words[row] for row in rows])
        if pieces != [expected[item] for item in items.tolist()] or (np.diff(offsets) != counts).any():
            raise NotCompilable("some characters would be normalized or split in another way")
