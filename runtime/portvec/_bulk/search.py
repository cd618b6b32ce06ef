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
        text: the text; None if only its vector is known, or it is null.
    """

    score: float
    position: int
    text: str | None


def search(embedder: StaticEmbedder, texts: Iterable[str], query: str, k: int) -> list[Hit]:
    """Return the `k` texts nearest to `query`, the nearest first. Ties keep the order of the input.

    A text without known tokens has no direction, and scores 0.
    """
    ranking = Ranking(embedder.encode_queries([query])[0], k)
    kept: dict[int, str] = {}
    for batch in batched(check_iterable(texts), _BATCH):
        start = ranking.count
        ranking.add(embedder.encode_documents(batch))
        kept = {
            position: batch[position - start] if position >= start else kept[position]
            for _, position in ranking.best
        }
    return [Hit(score, position, kept[position]) for score, position in ranking.best]


class Ranking:
    """The rows nearest to a query among those added, in the memory of one block.

    float32 finds the rows that may be among the nearest, and float64 ranks them: it gives equal rows equal
    scores wherever they stand, so that ties keep the order of the rows.

    Attributes:
        best: (cosine, position) of the nearest rows, the nearest first.
        count: rows added.
    """

    def __init__(self, query: npt.NDArray[np.float32], k: int) -> None:
        wide = query.astype(np.float64)
        norm = np.linalg.norm(wide)
        self._direction = wide / (norm if norm > 0 else 1)
        self._k = k
        # Products of float32 differ from those of float64 by no more.
        self._doubt = 4 * len(query) * float(np.finfo(np.float32).eps)
        self.best: list[tuple[float, int]] = []
        self.count = 0

    def add(self, rows: npt.NDArray[np.float32]) -> int | None:
        """Add a block of rows, (n, dim). A row of zeros has no direction, and scores 0.

        Returns:
            The index of a row that holds NaN or infinity, in which case nothing is added; None if there is
            no such row.
        """
        scores = self._estimate(rows)
        if not np.isfinite(scores).all():
            return int(np.isfinite(scores).argmin())
        least = -np.inf
        if len(scores) > self._k:
            least = np.partition(scores, -self._k)[-self._k]
        if len(self.best) == self._k:
            least = max(least, self.best[-1][0])
        near = np.flatnonzero(scores >= least - self._doubt)
        found = zip(self._score(rows[near]).tolist(), (self.count + near).tolist(), strict=True)
        self.best = sorted([*self.best, *found], key=lambda hit: (-hit[0], hit[1]))[: self._k]
        self.count += len(rows)
        return None

    def _estimate(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        with np.errstate(all="ignore"):
            norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
            scores = np.asarray((rows @ self._direction.astype(np.float32)) / norms, dtype=np.float64)
        odd = np.flatnonzero(~((norms > 1e-15) & (norms < 1e15)))  # float32 cannot hold their squares
        scores[odd] = self._score(rows[odd])
        return scores

    def _score(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        with np.errstate(invalid="ignore"):
            wide = rows.astype(np.float64)
            norms = np.sqrt((wide * wide).sum(axis=1))
            scores = (wide * self._direction).sum(axis=1) / np.where(norms == 0, 1, norms)
        return np.asarray(scores)
