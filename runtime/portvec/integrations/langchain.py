"""LangChain: an `Embeddings` for any of its vector stores."""

from __future__ import annotations

import os
from typing import Any

from portvec._embedder import StaticEmbedder
from portvec.integrations._common import encode_documents, encode_query, missing_extra

try:
    from langchain_core.embeddings import Embeddings
except ImportError as error:
    raise missing_extra("langchain", "langchain-core", error) from error


class PortvecEmbeddings(Embeddings):
    """Embeds documents and queries for LangChain. It pickles as its source and options.

    The asynchronous methods are LangChain's own. They run these in a thread, so that the event loop is free.
    """

    def __init__(self, source: str | os.PathLike[str], **options: Any) -> None:
        """Load the model.

        Args:
            source: an artifact folder, a Model2Vec folder, or a Hub id `owner/name` of either.
            options: keyword arguments of `StaticEmbedder.load`; an unknown one raises TypeError.

        Raises:
            SourceError: the source does not exist, cannot be fetched or is not a Model2Vec model.
            ArtifactError: the artifact is damaged.
        """
        self._embedder = StaticEmbedder.load(source, **options)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed n texts: n lists of dim floats.

        Raises:
            InputError: `texts` is a str, or an element is not one.
        """
        rows: list[list[float]] = encode_documents(self._embedder, texts).tolist()
        return rows

    def embed_query(self, text: str) -> list[float]:
        """Embed one text: a list of dim floats.

        Raises:
            InputError: `text` is not a str.
        """
        row: list[float] = encode_query(self._embedder, text).tolist()
        return row
