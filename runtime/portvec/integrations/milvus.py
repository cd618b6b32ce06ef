"""Milvus: its embedding-function interface, as in pymilvus.model."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from portvec._embedder import StaticEmbedder
from portvec._options import ModelOptions, show_fields
from portvec._tokenization.texts import check_iterable, check_texts
from portvec.errors import OptionError
from portvec.integrations._document_encoder import DocumentEncoder

if TYPE_CHECKING:
    import numpy.typing as npt

# Options that have another name in model2vec, and so in pymilvus's class.
_OUR_NAMES = {
    "dimensionality": "dim",
    "quantize_to": "dtype",
    "vocabulary_quantization": "vocabulary_size",
}
_THEIR_NAMES = {ours: theirs for theirs, ours in _OUR_NAMES.items()}
_DTYPES = (None, "float32", "float16")


class Model2VecEmbeddingFunction:
    """Embeds documents and queries for Milvus. A drop-in replacement for pymilvus's class of that name.

    It does not derive from pymilvus's base class, whose import loads transformers. Embeddings are always
    float32, which Milvus requires, and never NaN.
    """

    def __init__(
        self,
        model_source: str | os.PathLike[str] = "minishlab/potion-base-8M",
        *,
        documents: Any = None,
        **options: Any,
    ) -> None:
        """Load the model, and convert it first if that is needed.

        Args:
            model_source: an artifact folder, a Model2Vec folder, or a Hub id `owner/name` (optionally
                `owner/name@revision`) of a repository that has either.
            documents: what embeds documents if the model is for queries only: an object with
                `encode_documents`, `encode_document` or `encode`, such as a SentenceTransformer, or a
                function of a list of str. Its vectors must be in the vector space of the model.
            options: those of `StaticEmbedder.load`, three of them by their names in model2vec.

        Raises:
            SourceError: the source does not exist, is not a Model2Vec model, cannot be fetched, or is an
                artifact that was exported with other options.
            MissingExtraError: the source must be converted, and the extra `export` is not installed.
            OptionError: an option has a value that is unknown or out of range, or `documents` embeds in
                another number of dimensions.
            ExportError: what was fetched or converted cannot be written to the cache.
            ArtifactError: the artifact is damaged.
        """
        try:
            inspect.signature(Model2VecEmbeddingFunction).bind(model_source, **options)
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}() {error}") from None
        quantize_to = options.get("quantize_to")
        if quantize_to not in _DTYPES:
            raise OptionError(f"quantize_to is {quantize_to!r}, expected 'float32', 'float16' or None")
        self.model_source = model_source
        self._embedder = StaticEmbedder.load(
            model_source, **{_OUR_NAMES.get(name, name): value for name, value in options.items()}
        )
        self._documents = (
            None if documents is None else DocumentEncoder(documents, self._embedder.dim, model_source)
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._embedder!r})"

    @property
    def dim(self) -> int:
        """Length of an embedding, which is a collection's `dimension`."""
        return self._embedder.dim

    def encode_documents(self, documents: Iterable[str]) -> list[npt.NDArray[np.float32]]:
        """Embed documents, after the model's prompt for them: a list of float32 (dim,) arrays in input order.

        What the constructor got as `documents` embeds them instead, with prompts of its own.

        Raises:
            InputError: `documents` is a str, has no order or is a table, or an element is not a str.
            OptionError: what the constructor got as `documents` returns something else than one vector of
                the right length for each text.
        """
        if self._documents is not None:
            return self._documents.encode(check_texts(list(check_iterable(documents, "documents"))))
        return list(self._embedder.encode_documents(check_iterable(documents, "documents")))

    def encode_queries(self, queries: Iterable[str]) -> list[npt.NDArray[np.float32]]:
        """Embed queries, after the model's prompt for them: a list of float32 (dim,) arrays in input order.

        Raises:
            InputError: `queries` is a str, has no order or is a table, or an element is not a str.
        """
        return list(self._embedder.encode_queries(check_iterable(queries, "queries")))

    def __call__(self, texts: Iterable[str]) -> list[npt.NDArray[np.float32]]:
        """Embed texts, as `StaticEmbedder.encode` does: a list of float32 (dim,) arrays in input order.

        Raises:
            InputError: `texts` is a str, has no order or is a table, or an element is not a str.
            OptionError: documents and queries are embedded by different models.
        """
        if self._documents is not None:
            raise OptionError(
                f"{self.model_source}: embeds queries only, and documents={self._documents.name} embeds "
                "documents; call encode_queries or encode_documents"
            )
        return list(self._embedder.encode(check_iterable(texts, "texts")))


show_fields(
    Model2VecEmbeddingFunction.__init__, Model2VecEmbeddingFunction.__init__, ModelOptions, _THEIR_NAMES
)
