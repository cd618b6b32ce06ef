"""What the mean of the token vectors passes through before it is the embedding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

_Array: TypeAlias = "npt.NDArray[np.float32]"


@dataclass(frozen=True)
class UnitLength:
    """Divides a vector by its norm, or by `least` if the norm is less."""

    least: float

    def apply(self, rows: _Array) -> _Array:
        """Return the vectors that rows (n, width) become."""
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.maximum(norms, np.float32(self.least)))

    def width(self, inputs: int) -> int:
        """Return the length of what a vector of length `inputs` becomes."""
        return inputs

    def facts(self) -> dict[str, Any]:
        """Return what the manifest says."""
        return {"type": "unit_length", "least": self.least}


@dataclass(frozen=True)
class Dense:
    """A linear layer and an activation, with a residual connection if there is one.

    Attributes:
        weight: (outputs, inputs).
        bias: (outputs,), or None.
        activation: "identity", "relu", "tanh", "sigmoid" or "gelu".
        residual: what the input is multiplied by before it is added to the output, (outputs, inputs); None
            adds nothing.
    """

    weight: _Array
    bias: _Array | None
    activation: str
    residual: _Array | None = None

    def apply(self, rows: _Array) -> _Array:
        """Return the vectors that rows (n, inputs) become, (n, outputs)."""
        linear = rows @ self.weight.T
        if self.bias is not None:
            linear = linear + self.bias
        activated = _ACTIVATIONS[self.activation](linear)
        return activated if self.residual is None else activated + rows @ self.residual.T

    def width(self, inputs: int) -> int:
        """Return the length of what a vector becomes."""
        return len(self.weight)

    def facts(self) -> dict[str, Any]:
        """Return what the manifest says."""
        outputs, inputs = self.weight.shape
        return {
            "type": "dense",
            "inputs": inputs,
            "outputs": outputs,
            "activation": self.activation,
            "residual": self.residual is not None,
        }


@dataclass(frozen=True)
class DynamicTanh:
    """Bounds each dimension of a vector x: weight * tanh(alpha * x + bias), each (dim,)."""

    alpha: _Array
    weight: _Array
    bias: _Array

    def apply(self, rows: _Array) -> _Array:
        """Return the vectors that rows (n, dim) become."""
        return np.asarray(self.weight * np.tanh(self.alpha * rows + self.bias))

    def width(self, inputs: int) -> int:
        """Return the length of what a vector of length `inputs` becomes."""
        return inputs

    def facts(self) -> dict[str, Any]:
        """Return what the manifest says."""
        return {"type": "dynamic_tanh"}


Layer: TypeAlias = "UnitLength | Dense | DynamicTanh"


def apply_layers(layers: Sequence[Layer], rows: _Array) -> _Array:
    """Return what means, float32 (n, width), become after all layers: float32 (n, dim)."""
    for layer in layers:
        rows = layer.apply(rows)
    return rows


def width_after(layers: Sequence[Layer], width: int) -> int:
    """Return the length of what a vector of length `width` becomes after all layers."""
    for layer in layers:
        width = layer.width(width)
    return width


def _sigmoid(values: _Array) -> _Array:
    with np.errstate(over="ignore"):  # an infinite exponential gives 0, which is right
        return np.asarray(1 / (1 + np.exp(-values)))


def _gelu(values: _Array) -> _Array:
    """Return values times the normal distribution function of them, as PyTorch's GELU() does."""
    errors = [math.erf(value) for value in (values.ravel() / np.float32(math.sqrt(2))).tolist()]
    return np.asarray(values * np.float32(0.5) * (1 + np.array(errors, np.float32).reshape(values.shape)))


_ACTIVATIONS: dict[str, Callable[[_Array], _Array]] = {
    "identity": lambda values: values,
    "relu": lambda values: np.maximum(values, np.float32(0)),
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "gelu": _gelu,
}
