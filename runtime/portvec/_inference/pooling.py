"""The embedding of one text straight from the tables, without onnxruntime.

For a query, that takes a third of the time of a call of onnxruntime, and no import of it. The steps are those
of model2vec, so vectors of a float32 table are model2vec's bit for bit. No step is left to a library for
linear algebra, whose threads and rounding differ from machine to machine.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.manifest import Manifest
from portvec._inference.batching import Batch
from portvec._inference.graph_validation import CheckedGraph
from portvec.errors import ArtifactError

if TYPE_CHECKING:
    import numpy.typing as npt

_Array: TypeAlias = "npt.NDArray[Any]"
_Ids: TypeAlias = "npt.NDArray[np.integer[Any]]"
_Vector: TypeAlias = "npt.NDArray[np.float32]"
# Returns a row or a number for each of the token ids (n,).
_Gather: TypeAlias = Callable[[_Ids], _Array]
# Returns the sum of the vectors of token ids (n,), n > 0, in memory of its own.
_Sum: TypeAlias = Callable[[_Ids], _Vector]

# Tokens whose rows are gathered at once: this bounds the memory, and int32 holds the integer sums.
_TOKENS = 2048
# Values of an int4 table that share a scale, and the bytes that hold them.
_BLOCK, _BLOCK_BYTES = 32, 16
# Block weights have two digits of this base.
_BASE = np.int32(128)

_add = np.add.reduce


class Pooling:
    """Computes the embeddings of single texts. Threads may share one."""

    def __init__(self, add: _Sum, dim: int, normalize: bool, where: str) -> None:
        self._add = add
        self._dim = dim
        self._normalize = normalize
        self._where = where

    def embed(self, ids: _Ids) -> _Vector:
        """Return the embedding, float32 (dim,), of a text with the token ids (n,); zeros if it has none.

        Raises:
            ArtifactError: a token id is beyond the table.
        """
        if not len(ids):
            return np.zeros(self._dim, dtype=np.float32)
        try:
            vector = self._add(ids)
        except IndexError as error:
            raise ArtifactError(
                f"{self._where}: has no vector for a token id ({error}); run 'portvec verify' on the "
                "artifact, and export again if that fails too"
            ) from error
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


def open_pooling(graph: CheckedGraph, manifest: Manifest) -> Pooling | None:
    """Return the pooling over a graph's tables; None if these are not what the format says."""
    try:
        add = _SUMS[manifest.dtype](_Tables(graph, manifest))
    except _UnknownTableError:
        return None
    return Pooling(add, manifest.dim, manifest.normalize, graph.where)


class _UnknownTableError(Exception):
    """A tensor is missing, or has another type or shape than the format says."""


class _Tables:
    """The tensors of a graph by which an embedding is computed."""

    def __init__(self, graph: CheckedGraph, manifest: Manifest) -> None:
        self.dim = manifest.table_dim
        self._tensors = graph.tensors
        self._ids = manifest.vocabulary_size + 1
        self._rows = self._ids
        self._mapping = self.find(fmt.MAPPING, np.int64)
        if self._mapping is not None:
            self._rows = len(self.require(fmt.VECTORS))

    def has(self, name: str) -> bool:
        return name in self._tensors

    def require(self, name: str) -> _Array:
        if name not in self._tensors or not self._tensors[name].ndim:
            raise _UnknownTableError
        return self._tensors[name]

    def find(self, name: str, dtype: type[np.generic]) -> _Array | None:
        """Return a tensor with an element for each token id, or None if the graph does not have it."""
        return self._check(name, dtype, (self._ids,)) if name in self._tensors else None

    def table(self, name: str, dtype: type[np.generic], *columns: int) -> _Gather:
        """Return what gathers the rows of a tensor that has one for each row of the table."""
        rows, mapping = self._check(name, dtype, (self._rows, *columns)), self._mapping
        if mapping is None:
            return lambda ids: rows.take(ids, 0)
        return lambda ids: rows.take(mapping.take(ids), 0)

    def scale(self) -> np.float32:
        """Return the factor of all values. For digits of block weights, it is that of the low ones."""
        found = self._tensors.get(fmt.SCALE)
        if found is None or found.dtype != np.float32 or found.size not in (1, 2):
            raise _UnknownTableError
        scale: np.float32 = found.ravel()[-1]
        return scale

    def _check(self, name: str, dtype: type[np.generic], shape: tuple[int, ...]) -> _Array:
        array = self.require(name)
        if array.dtype != dtype or array.shape != shape:
            raise _UnknownTableError
        return array


def _sum_floats(tables: _Tables, dtype: type[np.generic]) -> _Sum:
    stored = tables.table(fmt.VECTORS, dtype, tables.dim)
    if dtype is np.float32:
        return _in_order(_weighted(tables, stored))
    return _in_order(_weighted(tables, lambda ids: stored(ids).astype(np.float32)))


def _sum_int8(tables: _Tables) -> _Sum:
    if not tables.has(fmt.ROW_WEIGHTS):
        return _sum_floats(tables, np.int8)
    values = tables.table(fmt.VECTORS, np.int8, tables.dim)
    row_weights = tables.table(fmt.ROW_WEIGHTS, np.uint8)

    def weigh(ids: _Ids) -> _Array:
        weights = row_weights(ids).astype(np.int16)  # holds 255 * 128
        weighed: _Array = values(ids) * weights[:, None]
        return weighed

    return _exactly(weigh, tables)


def _sum_int4(tables: _Tables) -> _Sum:
    blocks = -(-tables.dim // _BLOCK)
    packed = tables.table(fmt.VECTORS, np.int8, blocks * _BLOCK_BYTES)

    def unpack(ids: _Ids) -> _Array:
        """Return the codes of each block, int8 (n, blocks, 32)."""
        found = packed(ids).reshape(len(ids), blocks, _BLOCK_BYTES)
        return np.concatenate([(found & 15) - 8, found >> 4], axis=2)

    if tables.has(fmt.BLOCK_WEIGHTS):
        block_weights = tables.table(fmt.BLOCK_WEIGHTS, np.uint8, 2 * blocks)

        def weigh(ids: _Ids) -> _Array:
            digits = block_weights(ids).astype(np.int32)  # numpy 1 would multiply in 8 bits
            weights = digits[:, :blocks] * _BASE + digits[:, blocks:]
            weighed: _Array = unpack(ids) * weights[:, :, None]
            return weighed.reshape(len(ids), -1)

        return _exactly(weigh, tables)
    scales = tables.table(fmt.SCALES, np.float16, blocks)
    scale, dim = tables.scale(), tables.dim

    def multiply(ids: _Ids) -> _Array:
        return (unpack(ids) * scales(ids).astype(np.float32)[:, :, None]).reshape(len(ids), -1)

    add = _in_order(_weighted(tables, multiply))
    return lambda ids: add(ids)[:dim] * scale


_SUMS: dict[str, Callable[[_Tables], _Sum]] = {
    "float32": lambda tables: _sum_floats(tables, np.float32),
    "float16": lambda tables: _sum_floats(tables, np.float16),
    "int8": _sum_int8,
    "int4": _sum_int4,
}


def _weighted(tables: _Tables, vectors: _Gather) -> _Gather:
    """Return what gathers float32 vectors, multiplied by the weights of the token ids if they have any."""
    weights = tables.find(fmt.WEIGHTS, np.float32)
    if weights is None:
        return vectors
    return lambda ids: vectors(ids) * weights.take(ids)[:, None]


def _in_order(gather: _Gather) -> _Sum:
    """Return what adds one float32 row after the other, however many there are."""

    def add(ids: _Ids) -> _Vector:
        total: _Vector = _add(gather(ids[:_TOKENS]))
        for start in range(_TOKENS, len(ids), _TOKENS):
            rows = gather(ids[start : start + _TOKENS])
            rows[0] += total
            total = _add(rows)
        return total

    return add


def _exactly(gather: _Gather, tables: _Tables) -> _Sum:
    """Return what adds rows of integers, and multiplies their sum by the scale."""
    scale, dim = tables.scale(), tables.dim

    def add(ids: _Ids) -> _Vector:
        total = _add(gather(ids[:_TOKENS]), 0, np.int32)
        for start in range(_TOKENS, len(ids), _TOKENS):
            total = np.add(total, _add(gather(ids[start : start + _TOKENS]), 0, np.int32), dtype=np.int64)
        return np.asarray(total[:dim].astype(np.float32) * scale)

    return add
