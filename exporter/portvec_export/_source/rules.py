"""The rules by which a model turns a text into a vector, apart from its tokenizer and table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """How texts are truncated, and whether their mean is normalized.

    Attributes:
        normalize: whether embeddings get unit length.
        max_length: tokens kept of a text, counting UNK; None keeps all.
        max_characters: characters kept of a text before it is tokenized; None keeps all.
        unk_id: the token id that never contributes; None if the tokenizer has no unknown token.
        normalizes_means: whether sums must be divided by the number of tokens before they get unit length,
            because they are too large or too small for their squares.
    """

    normalize: bool
    max_length: int | None
    max_characters: int | None
    unk_id: int | None
    normalizes_means: bool = False
