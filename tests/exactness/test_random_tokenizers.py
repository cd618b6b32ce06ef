"""Token ids of random tokenizers on hard texts: those that `tokenizers` gives for each text alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from tokenizers import Tokenizer

from portvec._tokenization.backends.huggingface import PlainEncoder
from portvec._tokenization.compiled import CompiledLearner
from portvec._tokenization.known_words import KnownWords
from portvec._tokenization.learning import LibraryLearner
from portvec._tokenization.library import describe_parts, load
from portvec._tokenization.proven_cuts import find_cutting_rules
from portvec._tokenization.selection import CACHING, COMPILED
from portvec._tokenization.tokenizer import Encoder
from portvec._tokenization.word_cache import WordEncoder
from portvec._vocabulary.file import read_vocabulary
from portvec._vocabulary.token_ids import TokenIds, flatten
from portvec_export._vocabulary.compile import compile_vocabulary
from portvec_export._vocabulary.errors import NotCompilable
from project import FUZZ
from random_texts import random_texts
from random_tokenizers import random_tokenizer
from word_checks import ids_of

# `make fuzz` makes 100 times as many tokenizers, and more than five million texts for them.
_PARTS = 8
_TOKENIZERS = 40 * FUZZ
_BATCHES, _BATCH = 5, 50
# To find out what a normalizer makes of each character of Unicode would take a second for each tokenizer.
_CHARACTERS = frozenset(map(chr, [*range(0x600), *range(0x600, 0xD800, 61), *range(0xE000, 0x20000, 613)]))


@pytest.mark.fuzz
@pytest.mark.parametrize("part", range(_PARTS))
def test_ids_of_random_tokenizers(part: int, tmp_path: Path) -> None:
    """Batches are encoded one after the other, so what one leaves in the cache is used for the next."""
    path = tmp_path / "tokenizer.json"
    cached = compiled = texts = 0
    for number in range(_TOKENIZERS):
        random = Random(f"{part} {number}")
        tokenizer = random_tokenizer(random)
        path.write_text(json.dumps(tokenizer), encoding="utf-8")
        reference = Tokenizer.from_file(str(path))
        encoders = make_encoders(path, parallel=part % 2 == 0)
        cached += any(encoder.name == CACHING for encoder in encoders)
        compiled += any(encoder.name == COMPILED for encoder in encoders)
        added = [token["content"] for token in tokenizer["added_tokens"]]
        for batch in range(_BATCHES):
            found = {text: ids_of(reference, text) for text in random_texts(random, added, _BATCH)}
            expected = {text: ids for text, ids in found.items() if ids is not None}
            texts += len(expected)
            for encoder in encoders:
                got = dict(zip(expected, encoder.encode(list(expected)).lists(), strict=True))
                assert got == expected, f"{encoder.name}, batch {batch} of random_tokenizer({part} {number})"
    print(
        f"{texts:,} texts for {_TOKENIZERS:,} tokenizers, of which {cached:,} have words cached, and "
        f"{compiled:,} are compiled"
    )
    assert cached > 0.1 * _TOKENIZERS
    assert compiled > 0.1 * _TOKENIZERS


def make_encoders(path: Path, *, parallel: bool) -> list[Encoder]:
    """Return the encoders for a tokenizer.

    That is the plain one, one that caches words if there are rules for it, and the compiled one if there is
    one, in the ways in which many texts and single ones are encoded.
    """
    plain = PlainEncoder(path, parallel=parallel)
    rules = find_cutting_rules(describe_parts(plain.tokenizer))
    if rules is None:
        return [plain]
    encoders: list[Encoder] = [
        plain,
        WordEncoder(CACHING, LibraryLearner(plain, rules), rules, min_bytes=0, max_unknown=2.0),
    ]
    try:
        content = compile_vocabulary(load(path.read_bytes()), [], _CHARACTERS)
    except NotCompilable:
        return encoders
    learner = CompiledLearner(read_vocabulary(content, "vocabulary"), parallel=parallel)
    batches = WordEncoder(COMPILED, learner, learner.rules, min_bytes=0, max_unknown=2.0)
    return [*encoders, batches, SingleTexts(learner)]


class SingleTexts:
    """The way of the runtime for single texts: words that are known, else the compiled vocabulary."""

    name = "compiled, single texts"

    def __init__(self, learner: CompiledLearner) -> None:
        self._learner = learner
        self._known = KnownWords(
            learner, learner.rules, max_length=None, unk_id=None, vocabulary_size=1 << 31
        )

    def encode(self, texts: Sequence[str]) -> TokenIds:
        for _ in range(2):  # words are new, then they are known
            found = [self._known.find(text) for text in texts]
        rest = [text for text, ids in zip(texts, found, strict=True) if ids is None]
        others = iter(self._learner.encode(rest).lists())
        return flatten([next(others) if ids is None else ids.tolist() for ids in found])
