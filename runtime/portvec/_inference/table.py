"""The vectors of token ids straight from a graph's tensors, and their sums, without onnxruntime.

The steps are those of model2vec, so vectors and sums of a float32 table are model2vec's bit for bit. No step
is left to a library for linear algebra, whose threads and rounding differ from machine to machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.manifest import Manifest
from portvec._inference.graph_validation import CheckedGraph
from portvec.errors import ArtifactError

if TYPE_CHECKING:
    import numpy.typing as npt

_Array: TypeAlias = "npt.NDArray[Any]"
_Ids: TypeAlias = "npt.NDArray[np.integer[Any]]"
_Vectors: TypeAlias = "npt.NDArray[np.float32]"
# Returns a row or a number for each of the token ids (n,).
_Gather: TypeAlias = Callable[[_Ids], _Array]
# Returns the sum of the rows of token ids (n,), n > 0, in memory of its own.
_Sum: TypeAlias = Callable[[_Ids], _Array]

# Tokens whose rows are gathered at once: this bounds the memory, and int32 holds the integer sums.
_TOKENS = 2048
# Values of an int4 table that share a scale, and the bytes that hold them.
_BLOCK, _BLOCK_BYTES = 32, 16
# Block weights have two digits of this base.
_BASE = np.int32(128)

_add = np.add.reduce


class Table:
    """The vectors of an artifact's token ids. Threads may share one.

    Attributes:
        dim: length of a vector.
    """

    def __init__(self, values: _Values, dim: int, where: str) -> None:
        self.dim = dim
        self._values = values.gather
        self._sum = _exactly(values.gather) if values.are_integers else _in_order(values.gather)
        self._scale = values.scale
        self._where = where

    def gather(self, ids: _Ids) -> _Vectors:
        """Return the vectors, float32 (n, dim), of token ids (n,), in memory of their own.

        Raises:
            ArtifactError: a token id is beyond the table.
        """
        vectors = np.empty((len(ids), self.dim), dtype=np.float32)
        try:
            for start in range(0, len(ids), _TOKENS):
                part = slice(start, start + _TOKENS)
                vectors[part] = self._values(ids[part])[:, : self.dim]  # float32 holds the integers
        except IndexError as error:
            raise self._no_vector(error) from error
        if self._scale is not None:
            vectors *= self._scale
        return vectors

    def add(self, ids: _Ids) -> _Vectors:
        """Return the sum of the vectors of token ids (n,), n > 0: float32 (dim,), in memory of its own.

        Raises:
            ArtifactError: a token id is beyond the table.
        """
        try:
            total = self._sum(ids)
        except IndexError as error:
            raise self._no_vector(error) from error
        if self._scale is None:
            return total
        return np.asarray(total[: self.dim].astype(np.float32, copy=False) * self._scale)

    def _no_vector(self, error: IndexError) -> ArtifactError:
        return ArtifactError(
            f"{self._where}: has no vector for a token id ({error}); run 'portvec verify' on the "
            "artifact, and export again if that fails too"
        )


def open_table(graph: CheckedGraph, manifest: Manifest) -> Table | None:
    """Return the table that a graph's tensors are; None if they are not what the format says."""
    try:
        values = _VALUES[manifest.dtype](_Tensors(graph, manifest))
    except _UnknownTableError:
        return None
    return Table(values, manifest.table_dim, graph.where)


class _Values(NamedTuple):
    """The values of vectors before they are multiplied by the scale.

    Attributes:
        gather: returns the values of token ids (n,): (n, columns), where those beyond `dim` are padding.
        scale: the factor of all values; None if it is 1.
        are_integers: whether the values are integers, which are added exactly.
    """

    gather: _Gather
    scale: np.float32 | None = None
    are_integers: bool = False


class _UnknownTableError(Exception):
    """A tensor is missing, or has another type or shape than the format says."""


class _Tensors:
    """The tensors of a graph that hold the vectors of its token ids."""

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


def _floats(tensors: _Tensors, dtype: type[np.generic]) -> _Values:
    stored = tensors.table(fmt.VECTORS, dtype, tensors.dim)
    if dtype is np.float32:
        return _Values(_weighted(tensors, stored))
    return _Values(_weighted(tensors, lambda ids: stored(ids).astype(np.float32)))


def _int8(tensors: _Tensors) -> _Values:
    if not tensors.has(fmt.ROW_WEIGHTS):
        return _floats(tensors, np.int8)
    codes = tensors.table(fmt.VECTORS, np.int8, tensors.dim)
    row_weights = tensors.table(fmt.ROW_WEIGHTS, np.uint8)

    def weigh(ids: _Ids) -> _Array:
        weights = row_weights(ids).astype(np.int16)  # holds 255 * 128
        weighed: _Array = codes(ids) * weights[:, None]
        return weighed

    return _Values(weigh, tensors.scale(), are_integers=True)


def _int4(tensors: _Tensors) -> _Values:
    blocks = -(-tensors.dim // _BLOCK)
    packed = tensors.table(fmt.VECTORS, np.int8, blocks * _BLOCK_BYTES)

    def unpack(ids: _Ids) -> _Array:
        """Return the codes of each block, int8 (n, blocks, 32)."""
        found = packed(ids).reshape(len(ids), blocks, _BLOCK_BYTES)
        return np.concatenate([(found & 15) - 8, found >> 4], axis=2)

    if tensors.has(fmt.BLOCK_WEIGHTS):
        block_weights = tensors.table(fmt.BLOCK_WEIGHTS, np.uint8, 2 * blocks)

        def weigh(ids: _Ids) -> _Array:
            digits = block_weights(ids).astype(np.int32)  # numpy 1 would multiply in 8 bits
            weights = digits[:, :blocks] * _BASE + digits[:, blocks:]
            weighed: _Array = unpack(ids) * weights[:, :, None]
            return weighed.reshape(len(ids), -1)

        return _Values(weigh, tensors.scale(), are_integers=True)
    scales = tensors.table(fmt.SCALES, np.float16, blocks)

    def multiply(ids: _Ids) -> _Array:
        return (unpack(ids) * scales(ids).astype(np.float32)[:, :, None]).reshape(len(ids), -1)

    return _Values(_weighted(tensors, multiply), tensors.scale())


_VALUES: dict[str, Callable[[_Tensors], _Values]] = {
    "float32": lambda tensors: _floats(tensors, np.float32),
    "float16": lambda tensors: _floats(tensors, np.float16),
    "int8": _int8,
    "int4": _int4,
}


def _weighted(tensors: _Tensors, vectors: _Gather) -> _Gather:
    """Return what gathers float32 vectors, multiplied by the weights of the token ids if they have any."""
    weights = tensors.find(fmt.WEIGHTS, np.float32)
    if weights is None:
        return vectors
    return lambda ids: vectors(ids) * weights.take(ids)[:, None]


def _in_order(gather: _Gather) -> _Sum:
    """Return what adds one float32 row after the other, however many there are: float32 (columns,)."""

    def add(ids: _Ids) -> _Array:
        total: _Array = _add(gather(ids[:_TOKENS]))
        for start in range(_TOKENS, len(ids), _TOKENS):
            rows = gather(ids[start : start + _TOKENS])
            rows[0] += total
            total = _add(rows)
        return total

    return add


def _exactly(gather: _Gather) -> _Sum:
    """Return what adds rows of integers: int32 or int64 (columns,)."""

    def add(ids: _Ids) -> _Array:
        total: _Array = _add(gather(ids[:_TOKENS]), 0, np.int32)
        for start in range(_TOKENS, len(ids), _TOKENS):
            total = np.add(total, _add(gather(ids[start : start + _TOKENS]), 0, np.int32), dtype=np.int64)
        return total

    return add
