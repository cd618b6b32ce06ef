"""Token ids of random tokenizers on hard texts: those that `tokenizers` gives for each text alone."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from tokenizers import Tokenizer

from portvec._failures import is_failure
from portvec._tokenization.backends.huggingface import PlainEncoder
from portvec._tokenization.cutting import find_cutting_rules
from portvec._tokenization.learning import LibraryLearner
from portvec._tokenization.library import describe_parts
from portvec._tokenization.tokenizer import Encoder
from portvec._tokenization.word_cache import WordEncoder
from project import FUZZ
from random_texts import random_texts
from random_tokenizers import random_tokenizer

# `make fuzz` makes 100 times as many tokenizers, and more than five million texts for them.
_PARTS = 8
_TOKENIZERS = 40 * FUZZ
_BATCHES, _BATCH = 5, 50


@pytest.mark.fuzz
@pytest.mark.parametrize("part", range(_PARTS))
def test_ids_of_random_tokenizers(part: int, tmp_path: Path) -> None:
    """Batches are encoded one after the other, so what one leaves in the cache is used for the next."""
    path = tmp_path / "tokenizer.json"
    cached = texts = 0
    for number in range(_TOKENIZERS):
        random = Random(f"{part} {number}")
        tokenizer = random_tokenizer(random)
        path.write_text(json.dumps(tokenizer), encoding="utf-8")
        reference = Tokenizer.from_file(str(path))
        encoders = make_encoders(path, parallel=part % 2 == 0)
        cached += len(encoders) > 1
        added = [token["content"] for token in tokenizer["added_tokens"]]
        for batch in range(_BATCHES):
            found = {text: ids_of(reference, text) for text in random_texts(random, added, _BATCH)}
            expected = {text: ids for text, ids in found.items() if ids is not None}
            texts += len(expected)
            for encoder in encoders:
                got = dict(zip(expected, encoder.encode(list(expected)).lists(), strict=True))
                assert got == expected, f"{encoder.name}, batch {batch} of random_tokenizer({part} {number})"
    print(f"{texts:,} texts for {_TOKENIZERS:,} tokenizers, of which {cached:,} have words cached")
    assert cached > 0.1 * _TOKENIZERS


def make_encoders(path: Path, *, parallel: bool) -> list[Encoder]:
    """Return the encoders for a tokenizer: the plain one, and one that caches words if there are rules."""
    plain = PlainEncoder(path, parallel=parallel)
    rules = find_cutting_rules(describe_parts(plain.tokenizer))
    if rules is None:
        return [plain]
    learner = LibraryLearner(plain, rules)
    return [plain, WordEncoder("caching words", learner, rules, min_bytes=0, max_unknown=2.0)]


def ids_of(tokenizer: Tokenizer, text: str) -> list[int] | None:
    """Return the ids of one text, or None if `tokenizers` fails, as it does for some combinations."""
    try:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    except BaseException as error:
        if not is_failure(error):
            raise
        return None
    return ids
