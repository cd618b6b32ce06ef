"""Haystack: a component that embeds a query, and one that embeds documents."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from portvec.integrations._common import LazyEmbedder, encode_documents, encode_query, missing_extra

try:
    from haystack import Document, component, default_from_dict, default_to_dict
except ImportError as error:
    raise missing_extra("haystack", "haystack-ai", error) from error


@component
class PortvecTextEmbedder:
    """Embeds a query. Put `PortvecDocumentEmbedder` with the same source in the indexing pipeline."""

    def __init__(self, source: str | os.PathLike[str], **options: Any) -> None:
        """Keep the source and the options, and load the model at the first use.

        Args:
            source: an artifact folder, a Model2Vec folder, or a Hub id `owner/name` of either.
            options: keyword arguments of `StaticEmbedder.load`; an unknown one raises TypeError.
        """
        self._model = LazyEmbedder(source, options)

    def warm_up(self) -> None:
        """Load the model now. Otherwise the first run does it.

        Raises:
            SourceError: the source does not exist, cannot be fetched or is not a Model2Vec model.
            ArtifactError: the artifact is damaged.
        """
        _ = self._model.embedder

    @component.output_types(embedding=list[float])
    def run(self, text: str) -> dict[str, Any]:
        """Embed a text.

        Returns:
            `embedding`: a list of dim floats.

        Raises:
            InputError: `text` is not a str.
        """
        return {"embedding": encode_query(self._model.embedder, text).tolist()}

    def to_dict(self) -> dict[str, Any]:
        """Serialize the source and the options."""
        data: dict[str, Any] = default_to_dict(self, source=self._model.source, **self._model.options)
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PortvecTextEmbedder:
        """Return a component made from what `to_dict` returned."""
        made: PortvecTextEmbedder = default_from_dict(cls, data)
        return made


@component
class PortvecDocumentEmbedder:
    """Embeds documents, and fields of their metadata on request."""

    def __init__(
        self,
        source: str | os.PathLike[str],
        *,
        meta_fields_to_embed: list[str] | None = None,
        embedding_separator: str = "\n",
        **options: Any,
    ) -> None:
        """Keep the source and the options, and load the model at the first use.

        Args:
            source: an artifact folder, a Model2Vec folder, or a Hub id `owner/name` of either.
            meta_fields_to_embed: fields of a document's metadata to embed before its content.
            embedding_separator: what joins these fields and the content.
            options: keyword arguments of `StaticEmbedder.load`; an unknown one raises TypeError.
        """
        self._model = LazyEmbedder(source, options)
        self._fields = list(meta_fields_to_embed or [])
        self._separator = embedding_separator

    def warm_up(self) -> None:
        """Load the model now. Otherwise the first run does it.

        Raises:
            SourceError: the source does not exist, cannot be fetched or is not a Model2Vec model.
            ArtifactError: the artifact is damaged.
        """
        _ = self._model.embedder

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, Any]:
        """Embed documents.

        Returns:
            `documents`: copies of the documents, in their order, each with its embedding, a list of
            dim floats.
        """
        rows = encode_documents(self._model.embedder, map(self._text, documents)).tolist()
        return {
            "documents": [
                replace(document, embedding=row) for document, row in zip(documents, rows, strict=True)
            ]
        }

    def to_dict(self) -> dict[str, Any]:
        """Serialize the source and the options."""
        data: dict[str, Any] = default_to_dict(
            self,
            source=self._model.source,
            meta_fields_to_embed=self._fields,
            embedding_separator=self._separator,
            **self._model.options,
        )
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PortvecDocumentEmbedder:
        """Return a component made from what `to_dict` returned."""
        made: PortvecDocumentEmbedder = default_from_dict(cls, data)
        return made

    def _text(self, document: Document) -> str:
        values = (document.meta.get(field) for field in self._fields)
        parts = [str(value) for value in values if value is not None]
        return self._separator.join([*parts, document.content or ""])
