"""Which added tokens nothing can reproduce, because `tokenizers` itself gives one id or another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portvec_export._vocabulary.normalizer_steps import load_normalizer


def find_ambiguity(tokenizer: Mapping[str, Any]) -> str | None:
    """Return why the added tokens of a tokenizer are ambiguous, as a clause; None if they are not.

    `tokenizer` has the entries "normalizer" and "added_tokens" of tokenizer.json.
    """
    contents = [token["content"] for token in tokenizer["added_tokens"] if token["normalized"]]
    if tokenizer["normalizer"] is not None:
        normalize = load_normalizer(tokenizer["normalizer"])
        contents = [normalize(content) for content in contents]
    if len(set(contents)) < len(contents):
        return "two of its added tokens are the same once they are normalized"
    if "" in contents:
        return "one of its added tokens is empty once it is normalized"
    return None
