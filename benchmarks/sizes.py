"""How many texts and repeats a run measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Numbers of texts and repeats.

    Attributes:
        cold_languages: lines in many languages for a whole process, as `cold` is for paragraphs.
        seconds: duration of one turn of one contender; a turn has at least one pass.
        query_seconds: the same for single queries.
        rounds: turns of each contender. Where a turn takes many seconds, slow_rounds.
        scaling: numbers of texts in one call.
    """

    sentences: int
    paragraphs: int
    languages: int
    documents: int
    cold: int
    cold_languages: int
    quality: int
    scaling: tuple[int, ...]
    seconds: float
    query_seconds: float
    rounds: int
    slow_rounds: int


# model2vec starts threads of its own at 10,000 texts. Sets are larger than that where it may matter.
FULL = Sizes(
    sentences=15_000,
    paragraphs=12_000,
    languages=12_000,
    documents=600,
    cold=50_000,
    cold_languages=33_000,
    quality=20_000,
    scaling=(1_000, 10_000, 100_000, 1_000_000),
    seconds=0.5,
    query_seconds=0.25,
    rounds=5,
    slow_rounds=3,
)
QUICK = Sizes(
    sentences=1_500,
    paragraphs=1_500,
    languages=1_000,
    documents=60,
    cold=2_000,
    cold_languages=1_500,
    quality=2_000,
    scaling=(1_000, 10_000),
    seconds=0.0,
    query_seconds=0.0,
    rounds=1,
    slow_rounds=1,
)
