"""Comparing the skeleton, and compiled words, with the tokenizer that they are made from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tokenizers import Tokenizer

from compiled_words import Words
from portvec._failures import is_failure
from portvec._tokenization.skeleton import PreTokens, Skeleton


def ids_of(tokenizer: Tokenizer, text: str) -> list[int] | None:
    """Return the ids of one text, or None if `tokenizers` fails, as it does for some combinations."""
    try:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    except BaseException as error:
        if not is_failure(error):
            raise
        return None
    return ids


def check_skeleton(tokenizer: Tokenizer, facts: Any, texts: Sequence[str], *, parallel: bool = False) -> None:
    """Check that the model gives the skeleton's pre-tokens the ids that the tokenizer gives the texts."""
    found = {text: ids_of(tokenizer, text) for text in texts}
    expected = {text: ids for text, ids in found.items() if ids is not None}
    skeleton = Skeleton(facts, parallel=parallel)
    got = ids_of_items(tokenizer, skeleton.split(list(expected)))
    assert dict(zip(expected, got, strict=True)) == expected
    for text in list(expected)[:5]:
        assert ids_of_items(tokenizer, skeleton.split([text])) == [expected[text]]


def ids_of_items(tokenizer: Tokenizer, pre_tokens: PreTokens) -> list[list[int]]:
    assert "" not in pre_tokens.words
    assert len(set(pre_tokens.words)) == len(pre_tokens.words)
    words = [[token.id for token in tokenizer.model.tokenize(word)] for word in pre_tokens.words]
    items = pre_tokens.items.tolist()
    return [
        [number for item in items[start:stop] for number in ([~item] if item < 0 else words[item])]
        for start, stop in pairwise(pre_tokens.offsets.tolist())
    ]


def check_words(words: list[str], compiled: Words, facts: Any) -> int:
    """Check the words that need not be asked about against the skeleton, and return how many they are."""
    normalized, asked = compiled.characters.normalize(words)
    pairs = zip(words, normalized, asked.tolist(), strict=True)
    mapped = {word: image for word, image, ask in pairs if not ask}
    skeleton = Skeleton({**facts, "added_tokens": []})
    assert {word: skeleton.normalize(word) for word in mapped} == mapped
    for word in words:
        assert compiled.characters.normalize_one(word) == mapped.get(word), word
    if compiled.pre_tokenizer is not None:
        pieces, counts = compiled.pre_tokenizer.split(list(mapped.values()))
        expected = dict(zip(mapped, _lists(skeleton.split(list(mapped))), strict=True))
        assert dict(zip(mapped, _cut(pieces, counts.tolist()), strict=True)) == expected
        for word, image in mapped.items():
            assert compiled.pre_tokenizer.split_one(image) == expected[word], word
    return len(mapped)


def _lists(pre_tokens: PreTokens) -> list[list[str]]:
    items = [pre_tokens.words[item] for item in pre_tokens.items.tolist()]
    return [items[start:stop] for start, stop in pairwise(pre_tokens.offsets.tolist())]


def _cut(pieces: list[str], counts: list[int]) -> list[list[str]]:
    following = iter(pieces)
    cut = [[next(following) for _ in range(count)] for count in counts]
    assert next(following, None) is None
    return cut
