"""What a tokenizer does to a text before its model gets words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from portvec._vocabulary.components import list_steps


class Preparation(NamedTuple):
    """The parts of a tokenizer apart from its model, in the form of tokenizer.json.

    Attributes:
        normalizers: the steps of the normalizer, in order.
        pre_tokenizers: the steps of the pre-tokenizer, in order.
        added_tokens: the tokens that texts are split at.
        normalize: the function that normalizes a text.
    """

    normalizers: list[dict[str, Any]]
    pre_tokenizers: list[dict[str, Any]]
    added_tokens: list[dict[str, Any]]
    normalize: Callable[[str], str]

    @classmethod
    def of(cls, parts: Mapping[str, Any], normalize: Callable[[str], str]) -> Preparation:
        """Return what `parts` says, which has the keys of tokenizer.json."""
        return cls(
            [dict(step) for step in list_steps(parts["normalizer"])],
            [dict(step) for step in list_steps(parts["pre_tokenizer"])],
            list(parts["added_tokens"]),
            normalize,
        )
