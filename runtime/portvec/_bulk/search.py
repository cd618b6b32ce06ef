"""Searching for the nearest texts by cosine, in one pass over any number of texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from portvec._embedder import StaticEmbedder
from portvec._itertools import batched
from portvec._tokenization.texts import check_iterable

if TYPE_CHECKING:
    import numpy.typing as npt

_BATCH = 4096  # texts


class Hit(NamedTuple):
    """A text that was found.

    Attributes:
        score: cosine between its embedding and the query's, -1 to 1.
        position: index of the text in the input, from 0.
        text: the text.
    """

    score: float
    position: int
    text: str


def search(embedder: StaticEmbedder, texts: Iterable[str], query: str, k: int) -> list[Hit]:
    """Return the `k` texts nearest to `query`, the nearest first. Ties keep the order of the input.

    A text without known tokens has no direction, and scores 0.
    """
    direction = _normalize(embedder.encode([query]))[0]
    best: list[Hit] = []
    start = 0
    for batch in batched(check_iterable(texts), _BATCH):
        scores = _normalize(embedder.encode(batch)) @ direction
        top = np.argsort(-scores, kind="stable")[:k]
        best += [Hit(float(scores[row]), start + int(row), batch[row]) for row in top]
        best = sorted(best, key=lambda hit: (-hit.score, hit.position))[:k]
        start += len(batch)
    return best


def _normalize(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norms > 0, norms, 1), dtype=np.float32)
