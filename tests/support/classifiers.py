"""Small Model2Vec classifiers with random heads."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from model2vec import StaticModel
from model2vec.inference import StaticModelPipeline
from model2vec.inference.mlp import Activation, Layer, MLPHead

import tiny_models

LABELS: dict[str, list[Any]] = {
    "softmax": ["cat", "dog", "ünïcorn"],
    "sigmoid": ["a", "b", "c", "d"],
    "integers": [3, 1, 2],
}


def pipeline(
    kind: str, hidden: tuple[int, ...] = (16,), outputs: int = 2, **options: Any
) -> StaticModelPipeline:
    """Return a pipeline; `outputs` is the number of a regressor's, and `options` go to its model."""
    classes = LABELS.get(kind)
    activation = {"sigmoid": Activation.SIGMOID, "regressor": Activation.IDENTITY}.get(
        kind, Activation.SOFTMAX
    )
    rng = np.random.default_rng(5)
    model = tiny_models.model(**options)
    sizes = [model.dim, *hidden, len(classes) if classes else outputs]
    layers = [
        Layer(
            rng.standard_normal((out, into)).astype(np.float32), rng.standard_normal(out).astype(np.float32)
        )
        for into, out in pairwise(sizes)
    ]
    return StaticModelPipeline(model, MLPHead(layers, activation, np.asarray(classes) if classes else None))


class Projector:
    """A projector under model2vec, whose embeddings are what its pipeline predicts."""

    def __init__(self, folder: Path, model: StaticModel) -> None:
        """Take the head from the folder of a pipeline, and put it on `model`."""
        head = StaticModelPipeline.from_pretrained(folder).head
        self._pipeline = StaticModelPipeline(model, head)
        self.max_length = model.max_length
        self.median_token_length = model.median_token_length
        self.tokenize = model.tokenize

    def encode(self, texts: list[str]) -> Any:
        return self._pipeline.predict(texts)
