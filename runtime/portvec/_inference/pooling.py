"""The embedding of one text straight from the table, without onnxruntime.

For a query, that takes a third of the time of a call of onnxruntime, and no import of it. The steps are those
of model2vec, so vectors of a float32 table are model2vec's bit for bit.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from portvec._inference.batching import Batch
from portvec._inference.table import Table

if TYPE_CHECKING:
    import numpy.typing as npt

_Ids: TypeAlias = "npt.NDArray[np.integer[Any]]"
_Vector: TypeAlias = "npt.NDArray[np.float32]"

_add = np.add.reduce


class Pooling:
    """Computes the embeddings of single texts. Threads may share one."""

    def __init__(self, table: Table, *, normalize: bool) -> None:
        self._table = table
        self._normalize = normalize

    def embed(self, ids: _Ids) -> _Vector:
        """Return the embedding, float32 (dim,), of a text with the token ids (n,); zeros if it has none.

        Raises:
            ArtifactError: a token id is beyond the table.
        """
        if not len(ids):
            return np.zeros(self._table.dim, dtype=np.float32)
        vector = self._table.add(ids)
        vector /= len(ids)
        if self._normalize:
            # Rounded to float32, as it is here, Python's root is that of float32.
            vector /= sqrt(_add(vector * vector)) + 1e-32
        return vector

    def embed_batch(self, batch: Batch) -> _Vector:
        """Return the embeddings of a batch as a graph does: float32 (tiles * texts, dim), tile after tile."""
        tiles = zip(batch.bounds[:, 0].tolist(), batch.counts.tolist(), strict=True)
        return np.stack(
            [
                self.embed(batch.token_ids[start : start + count, column])
                for start, counts in tiles
                for column, count in enumerate(counts)
            ]
        )
