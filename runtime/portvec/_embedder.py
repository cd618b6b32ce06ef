"""StaticEmbedder: an artifact, loaded and ready to embed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact
from portvec._model import LoadedModel
from portvec._options import ModelOptions
from portvec._vocabulary.token_ids import TokenIds
from portvec.errors import SourceError

if TYPE_CHECKING:
    import numpy.typing as npt


class StaticEmbedder(LoadedModel):
    """Embeds texts with an artifact. Create an embedder with `StaticEmbedder.load`.

    Threads may share an embedder. It works after a fork, and it pickles as its source and options.

    Attributes:
        manifest: what the artifact holds and where it came from.
    """

    @classmethod
    def _open(
        cls, artifact: Artifact, options: ModelOptions, source: str | os.PathLike[str]
    ) -> StaticEmbedder:
        head = artifact.manifest.head
        if head is not None and head.activation == "identity" and options.semantics is None:
            raise SourceError(
                f"{source}: a projector or regressor, whose outputs StaticClassifier.load(...) predicts; "
                "pass semantics='model2vec' for the embedding before its head, as in model2vec's StaticModel"
            )
        embedder = cls.__new__(cls)
        embedder._start(artifact, options, source, output=fmt.SENTENCE_EMBEDDING, width=artifact.manifest.dim)
        return embedder

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.manifest.dim

    def encode(self, texts: str | Iterable[str]) -> npt.NDArray[np.float32]:
        """Embed one text, or any iterable of texts.

        Args:
            texts: a str, or an iterable of str with an order: a list, a generator, a column of pandas, polars
                or pyarrow, a numpy array of one dimension.

        Returns:
            float32 (dim,) for a str, (n, dim) for n texts, in input order. A text that is empty or has only
            unknown tokens gets the zero vector.

        Raises:
            InputError: `texts` has no order or is a table, an element is missing or not a str, or has a lone
                surrogate.
            ArtifactError: the artifact's tokenizer and graph do not fit each other.
        """
        return self._pipeline.run(texts)

    def tokenize(self, texts: Iterable[str]) -> TokenIds:
        """Return the token ids that `encode` pools, truncated and without UNK.

        Args:
            texts: an iterable of str.

        Raises:
            InputError: `texts` is a str, has no order or is a table, an element is missing or not a str, or
                has a lone surrogate.
        """
        return self._pipeline.tokenize(texts)
