"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Numbers of texts and repeats.

    Attributes:
        seconds: of one turn of one contender, at least one pass.
        rounds: turns of each contender; slow_rounds where each takes many seconds.
        scaling: numbers of texts in one call.
    """

    sentences: int
    paragraphs: int
    languages: int
    documents: int
    cold: int
    quality: int
    scaling: tuple[int, ...]
    seconds: float
    rounds: int
    slow_rounds: int


# model2vec uses threads of its own from 10,000 texts on, so there are more of them where that may matter.
FULL = Sizes(
    sentences=15_000,
    paragraphs=12_000,
    languages=12_000,
    documents=600,
    cold=50_000,
    quality=20_000,
    scaling=(1_000, 10_000, 100_000, 1_000_000),
    seconds=0.5,
    rounds=5,
    slow_rounds=3,
)
QUICK = Sizes(
    sentences=1_500,
    paragraphs=1_500,
    languages=1_000,
    documents=60,
    cold=2_000,
    quality=2_000,
    scaling=(1_000, 10_000),
    seconds=0.0,
    rounds=1,
    slow_rounds=1,
)
