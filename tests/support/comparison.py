"""Comparing an artifact with model2vec: token ids must be identical, vectors within 1e-6 of their norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from portvec import StaticEmbedder
from portvec._inference.verify import relative_differences


class Reference(Protocol):
    """What comparisons need of a model2vec model."""

    max_length: int | None

    @property
    def median_token_length(self) -> int: ...

    def tokenize(self, sentences: list[str], /) -> list[list[int]]: ...

    def encode(self, sentences: list[str], /) -> Any: ...


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes:
        texts: number of texts compared.
        id_mismatches: positions of the texts with other token ids.
        differences: (texts,) largest component difference of each vector over its norm.
    """

    texts: int
    id_mismatches: list[int]
    differences: np.ndarray

    @property
    def worst(self) -> float:
        return float(self.differences.max(initial=0.0))


def reference_ids(model: Reference, texts: list[str]) -> list[list[int]]:
    if model.max_length is None:
        return model.tokenize(texts)
    characters = model.max_length * model.median_token_length
    return model.tokenize([text[:characters] for text in texts])


def compare(embedder: StaticEmbedder, model: Reference, texts: list[str]) -> Comparison:
    pairs = zip(embedder.tokenize(texts).lists(), reference_ids(model, texts), strict=True)
    embeddings = embedder.encode(texts)
    assert embeddings.dtype == np.float32
    return Comparison(
        len(texts),
        [index for index, (got, expected) in enumerate(pairs) if got != expected],
        relative_differences(embeddings, model.encode(texts)),
    )


def assert_same(embedder: StaticEmbedder, model: Reference, texts: list[str]) -> None:
    found = compare(embedder, model, texts)
    assert not found.id_mismatches, [texts[index][:200] for index in found.id_mismatches[:3]]
    assert found.worst <= 1e-6, texts[int(found.differences.argmax())][:200]
