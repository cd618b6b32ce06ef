"""The token vectors of a model, apart from its tokenizer and rules."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from model2vec import StaticModel

from portvec_export._source.rows import RowReader, Rows, chunks, convert

Norms: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TokenVectors:
    """The vector of each of V token ids.

    Attributes:
        rows: float32 or float64 (rows, dim).
        mapping: int64 (V,), row of each token id; None if id = row.
        weights: float32 (V,), factor of each token id; None if all are 1.
    """

    rows: RowReader
    mapping: npt.NDArray[np.int64] | None = None
    weights: npt.NDArray[np.float32] | None = None

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.rows.shape[1]

    @property
    def vocabulary_size(self) -> int:
        """V: token ids are 0 to V - 1."""
        return len(self.rows if self.mapping is None else self.mapping)

    @cached_property
    def norms(self) -> Norms:
        """Norm of the vector of each token id, float64 (V,)."""
        parts = (self.rows[part].astype(np.float64) for part in chunks(len(self.rows)))
        norms: Norms = np.concatenate([np.linalg.norm(part, axis=1) for part in parts])
        if self.mapping is not None:
            norms = norms[self.mapping]
        return norms if self.weights is None else norms * np.abs(self.weights.astype(np.float64))


def vectors_of(model: StaticModel, dim: int | None = None) -> TokenVectors:
    """Return a model's vectors in float32: their first `dim` dimensions, or all if None."""
    rows, weights = convert(model.embedding, np.float32, dim), model.weights
    mapping = None if model.token_mapping is None else model.token_mapping.astype(np.int64, copy=False)
    if weights is not None and mapping is None:
        return TokenVectors(_weighted(rows, weights))
    with np.errstate(over="ignore"):  # `check_vectors` refuses what is beyond float32
        return TokenVectors(
            rows, mapping, None if weights is None else weights.astype(np.float32, copy=False)
        )


def _weighted(rows: RowReader, weights: npt.NDArray[Any]) -> RowReader:
    """Return the rows of ids that have one each, times the weights of the ids."""

    def read(index: Any) -> npt.NDArray[np.float32]:
        with np.errstate(over="ignore"):
            return np.asarray((rows[index] * weights[index][..., None]).astype(np.float32))

    return Rows((len(rows), rows.shape[1]), np.float32, read)


def with_vectors(model: StaticModel, vectors: TokenVectors) -> StaticModel:
    """Return a model with other vectors; it shares the rest, such as the tokenizer, with `model`."""
    other = copy.copy(model)
    other.embedding = vectors.rows  # type: ignore[assignment]  # model2vec only indexes it by rows
    other.token_mapping, other.weights = vectors.mapping, vectors.weights
    return other
