"""The normalizers and pre-tokenizers that a tokenizer consists of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from tokenizers import Tokenizer


def list_normalizers(tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Return the steps of the normalizer, in order, in the form of tokenizer.json."""
    return _list(tokenizer.normalizer, "normalizers")


def list_pre_tokenizers(tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Return the steps of the pre-tokenizer, in order, in the form of tokenizer.json."""
    return _list(tokenizer.pre_tokenizer, "pretokenizers")


def normalize_with(tokenizer: Tokenizer) -> Callable[[str], str]:
    """Return the function that normalizes a text for this tokenizer."""
    normalizer = tokenizer.normalizer  # each access creates a new object
    return str if normalizer is None else normalizer.normalize_str


def depends_on_position(tokenizer: Tokenizer) -> bool:
    """Return whether text at the start is tokenized differently from text after an added token."""
    return any(part.get("prepend_scheme") == "first" for part in list_pre_tokenizers(tokenizer))


def _list(component: Any, children: str) -> list[dict[str, Any]]:
    if component is None:
        return []
    state: dict[str, Any] = json.loads(component.__getstate__())
    return list(_flatten(state, children))


def _flatten(state: dict[str, Any], children: str) -> Iterable[dict[str, Any]]:
    if state["type"] != "Sequence":
        yield state
    for part in state.get(children, ()):
        yield from _flatten(part, children)
