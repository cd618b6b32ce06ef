"""A projector: a pipeline whose head has no activation, so that the output of the head is the embedding."""

from __future__ import annotations

from pathlib import Path

from portvec._artifact.layouts import HEAD
from portvec.errors import SourceError
from portvec_export._source.head import HeadLayers
from portvec_export._source.layers import Dense

_REMEDY = "pass semantics='model2vec' for the model's embeddings"


def projector_layers(head: HeadLayers | None, folder: Path) -> tuple[Dense, ...]:
    """Return the head of the model in `folder` as layers after the mean.

    Raises:
        SourceError: the model has no head, or one that classifies, or one without layers.
    """
    if head is None:
        raise SourceError(
            f"{folder}: not a projector, since it has no {HEAD}; leave out semantics='projector'"
        )
    if head.facts.activation != "identity":
        raise SourceError(
            f"{folder / HEAD}: not a projector, but a classifier with {head.facts.activation}; {_REMEDY}, or "
            "leave out semantics='projector' and load it with StaticClassifier"
        )
    if not head.layers:
        raise SourceError(f"{folder / HEAD}: has no layers, so its output is the embedding; {_REMEDY}")
    return head.as_layers()
