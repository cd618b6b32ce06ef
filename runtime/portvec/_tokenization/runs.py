"""Runs of texts that are joined for one call of `tokenizers`, which costs as much as several words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

# Joining more saves little, and a run must be tokenized at once.
_CHARACTERS = 8192


def split_runs(texts: Sequence[str]) -> Iterator[slice]:
    """Yield slices of the texts that have about `_CHARACTERS` each."""
    start = size = 0
    for stop, text in enumerate(texts, 1):
        size += len(text) + 1
        if size >= _CHARACTERS:
            yield slice(start, stop)
            start, size = stop, 0
    if start < len(texts):
        yield slice(start, len(texts))
