"""Chroma: an `EmbeddingFunction`, registered as "portvec".

Import this module before opening a collection that was made with it. Chroma then rebuilds the function from
what it stored.
"""

from __future__ import annotations

import os
from typing import Any

from portvec._tokenization.texts import check_iterable
from portvec.integrations._common import LazyEmbedder, encode_documents, missing_extra

try:
    from chromadb.api.types import Documents, EmbeddingFunction, Embeddings, Space
    from chromadb.utils.embedding_functions import register_embedding_function
except ImportError as error:
    raise missing_extra("chroma", "chromadb", error) from error


@register_embedding_function
class PortvecEmbeddingFunction(EmbeddingFunction[Documents]):
    """Embeds documents and queries for Chroma, whose collections compare by cosine by default.

    The model is loaded at the first use, because Chroma builds functions that it does not use. Functions with
    the same source and options share the loaded model.
    """

    def __init__(self, source: str | os.PathLike[str], **options: Any) -> None:
        """Keep the source and the options, and load the model at the first use.

        Args:
            source: an artifact folder, a Model2Vec folder, or a Hub id `owner/name` of either.
            options: keyword arguments of `StaticEmbedder.load`; an unknown one raises TypeError.
        """
        self._model = LazyEmbedder(source, options)

    def __call__(self, input: Documents) -> Embeddings:
        """Embed n documents: a list of n float32 (dim,) arrays.

        Raises:
            InputError: `input` is a str, or an element is not one.
            SourceError: the source does not exist, cannot be fetched or is not a Model2Vec model.
            ArtifactError: the artifact is damaged.
        """
        return list(encode_documents(self._model.embedder, input))

    def embed_query(self, input: Documents) -> Embeddings:
        """Embed n queries: a list of n float32 (dim,) arrays.

        Raises:
            InputError, SourceError, ArtifactError: as for documents.
        """
        return list(self._model.embedder.encode_queries(check_iterable(input)))

    @staticmethod
    def name() -> str:
        """Name under which it is registered."""
        return "portvec"

    def default_space(self) -> Space:
        """How a collection compares vectors unless it is configured otherwise."""
        return "cosine"

    def get_config(self) -> dict[str, Any]:
        """Return what Chroma stores: the source and the options."""
        return {"source": self._model.source, "options": self._model.options}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> PortvecEmbeddingFunction:
        """Return a function made from what `get_config` returned."""
        return PortvecEmbeddingFunction(config["source"], **config["options"])
