"""Random tokenizers inside a graph: the ids of `tokenizers` on hard texts, or a refusal that says why."""

from __future__ import annotations

import json
from random import Random

import pytest
from tokenizers import Tokenizer

from portvec_export._text_input.errors import NotExpressible
from portvec_export._text_input.proof import GraphTokenizer
from project import FUZZ
from random_texts import random_texts
from random_tokenizers import random_tokenizer
from word_checks import ids_of

# `make fuzz` makes 100 times as many. Each takes a second, since all characters are asked about.
_PARTS = 4
_TOKENIZERS = 4 * FUZZ
_TEXTS = 300


@pytest.mark.fuzz
@pytest.mark.parametrize("part", range(_PARTS))
def test_ids_of_random_tokenizers_in_a_graph(part: int) -> None:
    reasons = []
    for number in range(_TOKENIZERS):
        random = Random(f"text input {part} {number}")
        content = random_tokenizer(random)
        tokenizer = Tokenizer.from_str(json.dumps(content))
        added = [token["content"] for token in content["added_tokens"]]
        expected = {text: ids_of(tokenizer, text) for text in random_texts(random, added, _TEXTS)}
        texts = sorted((text for text, ids in expected.items() if ids is not None), key=len)
        try:
            graph = GraphTokenizer(tokenizer)
        except NotExpressible as why:
            reasons.append(str(why))
            continue
        for text, got in zip(texts, graph.encode(texts), strict=True):
            assert got == expected[text], f"{text!a} with the tokenizer {number} of part {part}"
    assert len(reasons) < 0.6 * _TOKENIZERS
