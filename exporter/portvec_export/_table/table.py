"""The table of token vectors as it is stored, and what it decodes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from portvec_export._table.rows import chunks


@dataclass(frozen=True)
class Table:
    """The tensors that grow with the vocabulary of V token ids.

    Attributes:
        dim: length of an embedding.
        vectors: (rows + 1, dim) float32, float16 or int8; for int4 int8 (rows + 1, padded dim / 2), two
            values a byte, see `_int4`. The last row is zero.
        mapping: int64 (V + 1,), row of each token id, the last one the zero row; None if id = row.
        weights: float32 (V + 1,), factor of each token id; None if all are 1.
        scales: of int4, float16 (rows + 1, blocks), factor of each block; None if `block_weights` has it.
        row_weights: of int8, uint8 (rows + 1,), whole factor of each row; None if `weights` has it.
        block_weights: of int4, uint8 (rows + 1, 2 * blocks), whole factor of each block in base 128: the
            high digits of a row's blocks, then the low ones.
        unit: factor of every value.
        decoded: (rows, dim) float32, or float64 where sums in the graph are exact: an array, or rows
            decoded when read. What model2vec must be given to compute the same.
    """

    dim: int
    vectors: npt.NDArray[Any]
    mapping: npt.NDArray[np.int64] | None
    weights: npt.NDArray[np.float32] | None
    decoded: Any
    scales: npt.NDArray[np.float16] | None = None
    row_weights: npt.NDArray[np.uint8] | None = None
    block_weights: npt.NDArray[np.uint8] | None = None
    unit: float = 1.0

    @property
    def zero_id(self) -> int:
        """The id past the vocabulary, whose row is zero."""
        return len(self.vectors if self.mapping is None else self.mapping) - 1

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return the tensors by their names in the graph."""
        named = {
            "vectors": self.vectors,
            "mapping": self.mapping,
            "weights": self.weights,
            "scales": self.scales,
            "row_weights": self.row_weights,
            "block_weights": self.block_weights,
        }
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    def holds(self, embedding: Any) -> bool:
        """Whether the table stands for exactly the float32 values of `embedding` (rows, dim)."""
        return len(self.decoded) == len(embedding) and all(
            np.array_equal(self.decoded[rows], embedding[rows]) for rows in chunks(len(embedding))
        )
