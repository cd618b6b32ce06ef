"""Pre-tokens of random tokenizers on hard texts, from the skeleton and from the character map."""

from __future__ import annotations

import json
from random import Random

import pytest
from tokenizers import Tokenizer

from compiled_words import compile_words
from portvec_export._vocabulary.added_tokens import find_ambiguity
from project import FUZZ
from random_texts import random_texts
from random_tokenizers import random_tokenizer
from word_checks import check_skeleton, check_words

_PARTS = 8
_TOKENIZERS = 25 * FUZZ
_TEXTS = 150


@pytest.mark.fuzz
@pytest.mark.parametrize("part", range(_PARTS))
def test_pre_tokens_of_random_tokenizers(part: int) -> None:
    words = mapped = 0
    for number in range(_TOKENIZERS):
        random = Random(f"{part} {number}")
        tokenizer = Tokenizer.from_str(json.dumps(random_tokenizer(random)))
        facts = json.loads(tokenizer.to_str())
        assert find_ambiguity(facts) is None
        texts = random_texts(random, [token["content"] for token in facts["added_tokens"]], _TEXTS)
        try:
            check_skeleton(tokenizer, facts, texts, parallel=part % 2 == 0)
            distinct = list(dict.fromkeys(texts))
            words += len(distinct)
            mapped += check_words(distinct, compile_words(facts, "".join(distinct)), facts)
        except AssertionError as error:
            raise AssertionError(f'random_tokenizer(Random("{part} {number}"))') from error
    print(f"{_TOKENIZERS:,} tokenizers, {words:,} words, of which {mapped:,} are mapped")
    assert mapped > 0.2 * words
