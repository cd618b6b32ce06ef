"""StaticClassifier: the artifact of a Model2Vec pipeline, loaded and ready to predict."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact
from portvec._artifact.manifest import Head
from portvec._inference.activations import activate, sigmoid
from portvec._model import LoadedModel
from portvec._options import ModelOptions
from portvec.errors import SourceError

if TYPE_CHECKING:
    import numpy.typing as npt


class StaticClassifier(LoadedModel):
    """Classifies texts, or predicts numbers for them. Create it with `StaticClassifier.load`.

    It is the counterpart of model2vec's `StaticModelPipeline`, with the head inside the graph. Like
    `StaticEmbedder.encode`, its methods take one text or an iterable of texts. For one text they return what
    they return for a list of it, without the first axis.

    Threads may share a classifier. It works after a fork, and it pickles as its source and options.

    Attributes:
        classes: (n_classes,) labels in the order of the probabilities; None for a regressor.
        manifest: what the artifact holds and where it came from.
    """

    classes: npt.NDArray[Any] | None
    _head: Head

    @classmethod
    def _open(
        cls, artifact: Artifact, options: ModelOptions, source: str | os.PathLike[str]
    ) -> StaticClassifier:
        head = artifact.manifest.head
        if head is None:
            remedy = "load it with StaticEmbedder"
            if options.semantics == "projector":
                remedy = f"leave out semantics='projector' to predict with its head, or {remedy}"
            raise SourceError(
                f"{source}: an embedding model without a classifier or regressor head; {remedy}"
            )
        classifier = cls.__new__(cls)
        classifier._start(artifact, options, source, output=fmt.LOGITS, width=head.outputs)
        classifier._head = head
        classifier.classes = None if head.classes is None else np.asarray(head.classes)
        return classifier

    def predict(self, texts: str | Iterable[str], *, threshold: float = 0.5) -> Any:
        """Return what model2vec's pipeline predicts.

        Args:
            texts: a str, or an iterable of str.
            threshold: probability above which a class is predicted; for a sigmoid head only.

        Returns:
            For n texts: with a softmax head (n,) the most likely class of each text; with a sigmoid head an
            object array of the classes whose probability exceeds `threshold`; with a regressor float32
            (n, outputs). For a str: the prediction for that text.

        Raises:
            InputError: an element is not a str, or has a lone surrogate.
        """
        if isinstance(texts, str):
            return self.predict([texts], threshold=threshold)[0]
        logits = self.logits(texts)
        if self.classes is None or self._head.activation == "identity":
            return logits
        if self._head.activation == "sigmoid":
            return np.asarray([self.classes[row > threshold] for row in sigmoid(logits)], dtype=object)
        return self.classes[logits.argmax(axis=1)]

    def logits(self, texts: str | Iterable[str]) -> npt.NDArray[np.float32]:
        """Return the head's outputs before its activation.

        Args:
            texts: a str, or an iterable of str.

        Returns:
            float32 (outputs,) for a str, (n, outputs) for n texts.

        Raises:
            InputError: an element is not a str, or has a lone surrogate.
        """
        return self._pipeline.run(texts)

    def predict_proba(self, texts: str | Iterable[str]) -> npt.NDArray[np.float32]:
        """Return the probability of each class.

        Args:
            texts: a str, or an iterable of str.

        Returns:
            float32 (n_classes,) for a str, (n, n_classes) for n texts.

        Raises:
            InputError: an element is not a str, or has a lone surrogate.
            SourceError: the model is a regressor, which has no probabilities.
        """
        if self._head.activation == "identity":
            raise SourceError(f"{self.manifest.source.id}: a regressor has no probabilities; use predict")
        return activate(self.logits(texts), self._head.activation)
