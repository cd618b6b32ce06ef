"""The head of a Model2Vec pipeline: linear layers with ReLU between them, on top of the embedding.

The pipeline is a projector if the head has no activation, so that its output can be the embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from portvec._artifact import format as fmt
from portvec._artifact.layouts import HEAD
from portvec._artifact.manifest import Head
from portvec._messages import describe_unknown
from portvec.errors import SourceError
from portvec_export._source.layers import Dense
from portvec_export._source.tensors import open_tensors

# Weight (outputs, inputs) and bias (outputs,).
Linear: TypeAlias = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class HeadLayers:
    """A head and its weights.

    Attributes:
        facts: what the manifest says about it.
        layers: weight and bias of each linear layer.
    """

    facts: Head
    layers: tuple[Linear, ...]

    def reference(self, embeddings: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the logits float32 (n, outputs) that model2vec computes from embeddings (n, dim)."""
        # Importing this takes as long as the rest of an export, and most models have no head.
        from model2vec.inference import mlp

        layers = [mlp.Layer(weight, bias) for weight, bias in self.layers]
        return mlp.MLPHead(layers, mlp.Activation.IDENTITY).predict_regression(embeddings)

    def as_layers(self) -> tuple[Dense, ...]:
        """Return what gives the logits: the linear layers, with ReLU after all but the last."""
        last = len(self.layers) - 1
        return tuple(
            Dense(weight, bias, "identity" if index == last else "relu")
            for index, (weight, bias) in enumerate(self.layers)
        )


def load_head(folder: Path, config: Mapping[str, Any], config_name: str, dim: int) -> HeadLayers | None:
    """Read the head beside a model, as model2vec 0.10 stores it; None if there is none.

    `config` is the content of the file `config_name`.

    Raises:
        SourceError: the head is damaged, or does not fit the model.
    """
    path = folder / HEAD
    if not path.is_file():
        return None
    head_config = config.get("head_config")
    if not isinstance(head_config, dict):
        raise SourceError(
            f"{folder / config_name}: no head_config, but {HEAD} exists; save the pipeline again"
        )
    activation, classes = head_config.get("activation", "identity"), head_config.get("classes")
    if activation not in fmt.ACTIVATIONS:
        raise SourceError(f"{folder}: {describe_unknown('head activation', activation, fmt.ACTIVATIONS)}")
    count = head_config.get("n_layers", 0)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise SourceError(
            f"{folder / config_name}: n_layers is {count!r}, expected a whole number of 0 or more; "
            "save the pipeline again"
        )
    if classes is not None and not isinstance(classes, list):
        raise SourceError(
            f"{folder / config_name}: classes is {classes!r}, expected a list or null; "
            "save the pipeline again"
        )
    layers = _load_layers(path, count)
    outputs = dim
    for index, (weight, bias) in enumerate(layers):
        fits = weight.ndim == 2 and weight.shape[1] == outputs and bias.shape == weight.shape[:1]
        if not fits or not len(weight):
            raise SourceError(
                f"{path}: layer {index} has weight {weight.shape} and bias {bias.shape}, expected "
                f"(outputs, {outputs}) and (outputs,), at least one; save the pipeline again"
            )
        outputs = len(weight)
    if (classes is None) != (activation == "identity") or (classes is not None and len(classes) != outputs):
        count = "no" if classes is None else len(classes)
        raise SourceError(
            f"{folder}: {count} classes do not fit a {activation} head with {outputs} outputs; "
            "save the pipeline again"
        )
    return HeadLayers(Head(activation, classes, outputs), layers)


def projector_layers(head: HeadLayers | None, folder: Path) -> tuple[Dense, ...]:
    """Return the head of the projector in `folder` as layers after the mean.

    Raises:
        SourceError: the model has no head, or one that classifies, or one without layers.
    """
    remedy = "pass semantics='model2vec' for the model's embeddings"
    if head is None:
        raise SourceError(
            f"{folder}: not a projector, since it has no {HEAD}; leave out semantics='projector'"
        )
    if head.facts.activation != "identity":
        raise SourceError(
            f"{folder / HEAD}: not a projector, but a classifier with {head.facts.activation}; {remedy}, or "
            "leave out semantics='projector' and load it with StaticClassifier"
        )
    if not head.layers:
        raise SourceError(f"{folder / HEAD}: has no layers, so its output is the embedding; {remedy}")
    return head.as_layers()


def _load_layers(path: Path, count: int) -> tuple[Linear, ...]:
    tensors = open_tensors(path)
    layers = []
    for index in range(count):
        names = (f"head.{index}.weight", f"head.{index}.bias")
        if not tensors.names.issuperset(names):
            raise SourceError(
                f"{path}: expected tensors {' and '.join(names)} for {count} layers, has "
                f"{', '.join(sorted(tensors.names)) or 'none'}; save the pipeline again"
            )
        weight, bias = map(tensors.read_float32, names)
        layers.append((weight, bias))
    return tuple(layers)
