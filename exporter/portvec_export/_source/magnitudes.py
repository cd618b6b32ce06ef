"""Refusing vectors that model2vec's arithmetic, float32, cannot hold or pool."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from model2vec import StaticModel

from portvec.errors import SourceError
from portvec_export._source.layers import DynamicTanh, Layer, UnitLength
from portvec_export._source.rows import chunks
from portvec_export._source.rules import Rules
from portvec_export._source.vectors import Norms, TokenVectors

_LARGEST = float(np.finfo(np.float32).max)
# A table that is smaller has few digits left once its vectors are multiplied, such as in a search, and a
# vector that is smaller has few digits left at all.
_SMALLEST_TABLE, _SMALLEST_VECTOR = 1e-30, 1e-35
# Between these norms, float32 holds the square of a vector, or of a mean over few hundred tokens, with few
# digits. onnxruntime 1.17 takes the root of such a number for zero.
_DENORMAL_SQUARE = (1e-24, 1e-16)
# Part of its largest value that a vector may lose when it is converted to float32.
_ROUNDING = 1e-6
# Without a limit, the tokens of a text still have this one: they are counted in int32.
_MOST_TOKENS = 2**31
# Between these norms of token vectors, float32 holds the squares of their sums exactly enough. A sum may be
# as much smaller than its terms as float32 has digits.
_SQUARED = (1e-10, 1e18)
_SCALE = "multiply the table by a power of 2"


def check_vectors(model: StaticModel, vectors: TokenVectors, tensors: Path) -> None:
    """Check that float32 holds the vectors of a model, and the sums of as many as it pools.

    Raises:
        SourceError: a vector is too large or too small, or all are zero; names the file `tensors`.
    """
    _check_conversion(model, vectors, tensors)
    norms = vectors.norms
    largest, tokens = float(norms.max()), model.max_length or _MOST_TOKENS
    problem = None
    if largest == 0:
        raise SourceError(f"{tensors}: every vector is zero; repair the model")
    if not largest * tokens <= _LARGEST:  # also true for NaN
        problem = (
            f"the largest vector has a norm of {largest:.1e}, and float32 cannot hold {tokens} times that"
        )
    elif model.normalize and largest**2 > _LARGEST:
        problem = f"the largest vector has a norm of {largest:.1e}, and float32 cannot hold its square"
    elif largest < _SMALLEST_TABLE:
        problem = f"the largest vector has a norm of {largest:.1e}, expected {_SMALLEST_TABLE} or more"
    elif (tiny := _between(norms, 0, _SMALLEST_VECTOR)).any():
        token_id = int(np.flatnonzero(tiny)[0])
        problem = (
            f"the vector of token {token_id} has a norm of {norms[token_id]:.1e}, expected 0, or "
            f"{_SMALLEST_VECTOR} or more"
        )
    elif model.normalize and (denormal := _between(norms, *_DENORMAL_SQUARE)).any():
        token_id = int(np.flatnonzero(denormal)[0])
        problem = (
            f"the vector of token {token_id} has a norm of {norms[token_id]:.1e}, whose square float32 holds "
            "with few digits"
        )
    if problem is not None:
        raise SourceError(f"{tensors}: {problem}; {_SCALE}")


def check_layers(layers: Sequence[Layer], model: StaticModel, vectors: TokenVectors, path: Path) -> None:
    """Check that float32 holds what layers compute from the means; `path` names their file in errors.

    Raises:
        SourceError: a number may be too large.
    """
    size = 1.0 if model.normalize else float(vectors.norms.max())
    for index, layer in enumerate(layers):
        largest, size = _sizes_after(layer, size)
        if not largest <= _LARGEST:  # also true for NaN
            raise SourceError(
                f"{path}: outputs of layer {index} may be as large as {largest:.1e}, which float32 cannot "
                "hold; repair the model"
            )


def _sizes_after(layer: Layer, size: float) -> tuple[float, float]:
    """Return bounds for what a layer does to vectors whose norm is at most `size`.

    These are the largest number that it computes, and the norm of its outputs.
    """
    if isinstance(layer, UnitLength):
        return size**2, 1.0
    if isinstance(layer, DynamicTanh):
        alpha, bias, weight = (
            np.abs(each).astype(np.float64) for each in (layer.alpha, layer.bias, layer.weight)
        )
        return float((alpha * size + bias).max()), float(np.linalg.norm(weight))
    sums = np.linalg.norm(layer.weight.astype(np.float64), axis=1) * size
    if layer.bias is not None:
        sums = sums + np.abs(layer.bias)
    outputs = np.minimum(sums, 1.0) if layer.activation in ("tanh", "sigmoid") else sums
    if layer.residual is not None:
        outputs = outputs + np.linalg.norm(layer.residual.astype(np.float64), axis=1) * size
    return float(max(sums.max(), outputs.max())), float(np.linalg.norm(outputs))


def needs_means(vectors: TokenVectors, rules: Rules) -> bool:
    """Return whether the norm of a sum of vectors may differ from that of their mean times their number.

    The squares of the sum then overflow or underflow, or the 1e-32 that model2vec adds to a norm matters.
    """
    norms = vectors.norms
    smallest = norms[norms > 0].min()
    return bool(smallest < _SQUARED[0] or norms.max() * (rules.max_length or _MOST_TOKENS) > _SQUARED[1])


def _between(norms: Norms, low: float, high: float) -> npt.NDArray[np.bool_]:
    return (norms > low) & (norms < high)


def _check_conversion(model: StaticModel, vectors: TokenVectors, tensors: Path) -> None:
    """Compare float64 tables and weights with what float32 makes of them.

    Tables and weights of other types are float32 in model2vec's arithmetic too.
    """
    weights = model.weights
    if weights is not None and weights.dtype == np.float64 and vectors.weights is not None:
        wide: Norms = weights.astype(np.float64)
        _refuse_lost(np.abs(vectors.weights - wide), np.abs(wide), "token weights", tensors)
    if np.float64 not in (model.embedding.dtype, weights.dtype if weights is not None else None):
        return
    for part in chunks(len(vectors.rows)):
        rows: Norms = model.embedding[part][:, : vectors.dim].astype(np.float64)
        if weights is not None and vectors.weights is None:
            rows = rows * weights[part, None]
        lost = np.abs(vectors.rows[part] - rows).max(axis=1)
        _refuse_lost(lost, np.abs(rows).max(axis=1), "vectors", tensors)


def _refuse_lost(lost: Norms, sizes: Norms, what: str, tensors: Path) -> None:
    wrong = ~(lost <= _ROUNDING * sizes)  # also true for NaN
    if wrong.any():
        raise SourceError(
            f"{tensors}: float32 cannot hold {np.count_nonzero(wrong)} of the {what}, such as one of size "
            f"{sizes[wrong][0]:.1e}; {_SCALE}"
        )
