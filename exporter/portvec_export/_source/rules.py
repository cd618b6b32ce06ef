"""The rules by which a model turns a text into a vector, apart from its tokenizer and table."""

from __future__ import annotations

from dataclasses import dataclass, field

from portvec_export._source.layers import Layer


@dataclass(frozen=True)
class Rules:
    """How texts are truncated, and what happens to their mean.

    Attributes:
        reference: the library, and its version if it computed what is recorded, whose rules they are.
        normalize: whether means get unit length, before the layers if there are any.
        max_length: tokens kept of a text, counting UNK; None keeps all.
        max_characters: characters kept of a text before it is tokenized; None keeps all.
        unk_id: the token id that never contributes; None if there is none.
        normalizes_means: whether sums must be divided by the number of tokens before they get unit length,
            because they are too large or too small for their squares.
        layers: what means then pass through to become embeddings.
        prompts: texts to put before others, by name.
        default_prompt_name: the one that is used unless another is asked for; None for none.
    """

    reference: str
    normalize: bool
    max_length: int | None
    max_characters: int | None
    unk_id: int | None
    normalizes_means: bool = False
    layers: tuple[Layer, ...] = ()
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None
