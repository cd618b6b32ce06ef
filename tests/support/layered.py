"""Artifacts with any layers after the mean: a Model2Vec model whose head is said to be those layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifiers import pipeline
from portvec_export import export_model
from portvec_export._source import model
from portvec_export._source.layers import Dense, DynamicTanh, Layer, UnitLength

DIM = 24  # of the table


def _numbers(*shape: int) -> Any:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def dense(outputs: int, activation: str, inputs: int = DIM, *, residual: bool = False) -> Dense:
    """Return a layer whose outputs are about as large as its inputs, as those of trained layers are."""
    weight = _numbers(outputs, inputs) / np.float32(math.sqrt(inputs))
    return Dense(weight, _numbers(outputs), activation, weight[::-1].copy() if residual else None)


LAYERS: dict[str, Sequence[Layer]] = {
    **{name: [dense(32, name)] for name in ("identity", "relu", "tanh", "sigmoid", "gelu")},
    "residual": [dense(DIM, "gelu", residual=True)],
    "no bias": [Dense(_numbers(32, DIM), None, "tanh")],
    "dynamic tanh": [DynamicTanh(_numbers(DIM), _numbers(DIM), _numbers(DIM))],
    "unit length first": [UnitLength(1e-12), dense(40, "relu")],
    "several": [dense(64, "gelu"), dense(16, "tanh", 64), UnitLength(1e-12)],
}


def export(folder: Path, layers: Sequence[Layer], patch: pytest.MonkeyPatch, **options: Any) -> Path:
    """Export a model, which is not normalized, with these layers; return the artifact."""
    pipeline("regressor", normalize=False).save_pretrained(str(folder / "model"))
    with patch.context() as patched:
        patched.setattr(model, "projector_layers", lambda head, folder: tuple(layers))
        return export_model(folder / "model", folder / "artifact", semantics="projector", **options)
