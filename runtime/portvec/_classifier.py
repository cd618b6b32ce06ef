"""StaticClassifier: the artifact of a Model2Vec pipeline, ready to predict."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact
from portvec._artifact.manifest import Head, Manifest
from portvec._inference.pipeline import Engine, Reloadable, resolve
from portvec._loading import ModelOptions
from portvec._tokenization.selection import TokenizerChoice
from portvec.errors import SourceError

if TYPE_CHECKING:
    import numpy.typing as npt

_OF_EMBEDDERS = ("dim", "vocabulary_size", "normalize")


class StaticClassifier(Reloadable):
    """Classifies texts, or predicts numbers for them. Made by `StaticClassifier.load`.

    It is the counterpart of model2vec's `StaticModelPipeline`, with the head inside the graph.

    Attributes:
        classes: (n_classes,) labels in the order of the probabilities; None for a regressor.
        manifest: what the artifact holds and where it came from.
    """

    def __init__(
        self,
        artifact: Artifact,
        *,
        threads: int = 1,
        tokenizer: TokenizerChoice = "auto",
        providers: Sequence[str] | None = None,
        optimize: bool = True,
        graph: str | None = None,
    ) -> None:
        head = artifact.manifest.head
        if head is None:
            raise SourceError(
                f"{artifact.folder}: an embedding model without a classifier or regressor head; "
                "load it with StaticEmbedder"
            )
        self.manifest: Manifest = artifact.manifest
        self._head: Head = head
        self.classes: npt.NDArray[Any] | None = None if head.classes is None else np.asarray(head.classes)
        self._engine = Engine(
            artifact,
            output=fmt.LOGITS,
            width=head.outputs,
            threads=threads,
            tokenizer=tokenizer,
            providers=providers,
            optimize=optimize,
            graph=graph,
        )
        self._remember(artifact.folder, {"threads": threads, "tokenizer": tokenizer, "providers": providers})

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str],
        *,
        threads: int | None = None,
        tokenizer: TokenizerChoice = "auto",
        providers: Sequence[str] | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
        subfolder: str | None = None,
        force_download: bool = False,
        dtype: str | None = None,
        max_length: int | Literal["model"] | None = "model",
    ) -> StaticClassifier:
        """Load the artifact of a pipeline, or convert a pipeline once and load the result.

        Arguments and errors are those of `StaticEmbedder.load`.

        Raises:
            SourceError: also if the model has no head.
        """
        options = ModelOptions(
            revision=revision,
            token=token,
            subfolder=subfolder,
            force_download=force_download,
            dtype=dtype,
            max_length=max_length,
        )
        artifact, threads_to_use = resolve(source, options, threads=threads)
        classifier = cls(artifact, threads=threads_to_use, tokenizer=tokenizer, providers=providers)
        arguments = {name: value for name, value in vars(options).items() if name not in _OF_EMBEDDERS}
        classifier._remember(
            source, {"threads": threads, "tokenizer": tokenizer, "providers": providers, **arguments}
        )
        return classifier

    def predict(self, texts: str | Iterable[str], *, threshold: float = 0.5) -> npt.NDArray[Any]:
        """Return what model2vec's pipeline predicts.

        Returns:
            Softmax head: (n,) the most likely class of each text. Sigmoid head: object array of the
            classes whose probability exceeds `threshold`. Regressor: float32 (n, outputs).

        Raises:
            InputError: an element is not a str, or holds a lone surrogate.
        """
        logits = self.logits(texts)
        if self.classes is None or self._head.activation == "identity":
            return logits
        if self._head.activation == "sigmoid":
            chosen = [self.classes[row > threshold] for row in _sigmoid(logits)]
            return np.asarray(chosen, dtype=object)
        predicted: npt.NDArray[Any] = self.classes[logits.argmax(axis=1)]
        return predicted

    def logits(self, texts: str | Iterable[str]) -> npt.NDArray[np.float32]:
        """Return the head's outputs before its activation, float32 (n, outputs).

        Raises:
            InputError: an element is not a str, or holds a lone surrogate.
        """
        return self._engine.run(texts)

    def predict_proba(self, texts: str | Iterable[str]) -> npt.NDArray[np.float32]:
        """Return the probability of each class, float32 (n, n_classes).

        Raises:
            InputError: an element is not a str, or holds a lone surrogate.
            SourceError: the model is a regressor, which has no probabilities.
        """
        if self._head.activation == "identity":
            raise SourceError(f"{self.manifest.source.id}: a regressor has no probabilities; use predict")
        logits = self.logits(texts)
        return _sigmoid(logits) if self._head.activation == "sigmoid" else _softmax(logits)


def _softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), dtype=np.float32)


def _sigmoid(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    # exp of a non-positive number only, so that nothing overflows
    small = np.exp(-np.abs(logits))
    return np.asarray(np.where(logits >= 0, 1, small) / (1 + small), dtype=np.float32)
