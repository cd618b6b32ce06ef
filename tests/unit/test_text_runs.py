"""Which texts a graph with text input gets together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from portvec._inference.text_tokenizer import GraphEncoder, _cut
from portvec._vocabulary.token_ids import TokenIds, flatten


@pytest.mark.parametrize(
    "lengths", [[0], [0, 0, 0], [1, 2, 3], [0] * 50 + [7] * 50, [5, 100, 2000], list(range(300)), [10**6] * 3]
)
@pytest.mark.parametrize("characters", [1, 10, 100, 5000])
def test_runs_are_bounded(lengths: list[int], characters: int) -> None:
    """All texts are in one run each, in order, and padding counts."""
    runs = _cut(np.array(lengths), characters)
    assert [start for start, _ in runs[1:]] == [stop for _, stop in runs[:-1]]
    assert (runs[0][0], runs[-1][1]) == (0, len(lengths))
    for start, stop in runs:
        assert stop - start == 1 or (stop - start) * max(1, lengths[stop - 1]) <= characters
    # Two neighbours do not fit into one run.
    for (start, _), (_, stop) in pairwise(runs):
        assert (stop - start) * max(1, lengths[stop - 1]) > characters


class _Lengths:
    """Stands for a graph: the ids of a text are its length and its first character."""

    def __init__(self) -> None:
        self.runs: list[Sequence[str]] = []

    def run(self, texts: Sequence[str]) -> list[TokenIds]:
        self.runs.append(texts)
        return [flatten([[len(text), *map(ord, text[:1])] for text in texts])]

    def read_ids(self, found: TokenIds, texts: int) -> TokenIds:
        return found


def test_ids_come_back_in_the_order_of_the_texts() -> None:
    graph = _Lengths()
    texts = [character * (17 * index % 23) for index, character in enumerate("abcdefghijklmnopqrstuvwxyz")]
    found = GraphEncoder(graph, characters=40).encode(texts)  # type: ignore[arg-type]
    assert found.lists() == [[len(text), *map(ord, text[:1])] for text in texts]
    assert len(graph.runs) > 5
    assert all(len(set(map(len, run))) < 6 for run in graph.runs)


def test_no_texts_need_no_run() -> None:
    graph = _Lengths()
    assert GraphEncoder(graph).encode([]).lists() == []  # type: ignore[arg-type]
    assert graph.runs == []
