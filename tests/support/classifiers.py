"""Small Model2Vec classifiers with random heads."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from model2vec.inference import StaticModelPipeline
from model2vec.inference.mlp import Activation, Layer, MLPHead

import tiny_models

LABELS: dict[str, list[Any]] = {
    "softmax": ["cat", "dog", "ünïcorn"],
    "sigmoid": ["a", "b", "c", "d"],
    "integers": [3, 1, 2],
}


def pipeline(kind: str, hidden: tuple[int, ...] = (16,), **options: Any) -> StaticModelPipeline:
    classes = LABELS.get(kind)
    activation = {"sigmoid": Activation.SIGMOID, "regressor": Activation.IDENTITY}.get(
        kind, Activation.SOFTMAX
    )
    rng = np.random.default_rng(5)
    model = tiny_models.model(**options)
    sizes = [model.dim, *hidden, len(classes) if classes else 2]
    layers = [
        Layer(
            rng.standard_normal((out, into)).astype(np.float32), rng.standard_normal(out).astype(np.float32)
        )
        for into, out in pairwise(sizes)
    ]
    return StaticModelPipeline(model, MLPHead(layers, activation, np.asarray(classes) if classes else None))
