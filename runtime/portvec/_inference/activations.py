"""What the activation of a head makes of its logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def activate(logits: npt.NDArray[np.float32], activation: str) -> npt.NDArray[np.float32]:
    """Return the probabilities or predictions, float32 (n, outputs), for logits (n, outputs).

    Args:
        logits: the head's outputs before its activation.
        activation: "softmax", "sigmoid" or "identity", as in the manifest.
    """
    if activation == "identity":
        return logits
    return sigmoid(logits) if activation == "sigmoid" else _softmax(logits)


def sigmoid(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the probability of each class alone, float32 (n, outputs)."""
    # exp of numbers that are not positive cannot overflow
    small = np.exp(-np.abs(logits))
    return np.asarray(np.where(logits >= 0, 1, small) / (1 + small), dtype=np.float32)


def _softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), dtype=np.float32)
