"""LlamaIndex: a `BaseEmbedding`."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from portvec._embedder import StaticEmbedder
from portvec.integrations._common import encode_documents, encode_query, missing_extra, stored

try:
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.bridge.pydantic import ConfigDict, Field, PrivateAttr
except ImportError as error:
    raise missing_extra("llama-index", "llama-index-core", error) from error


class PortvecEmbedding(BaseEmbedding):
    """Embeds nodes and queries for LlamaIndex.

    Serializes (`to_dict`, `to_json`, pickle) as its source, its options and the fields of
    BaseEmbedding, and loads the model again from these.
    """

    model_config = ConfigDict(extra="forbid")

    source: str = Field(description="As in StaticEmbedder.load.")
    options: dict[str, Any] = Field(description="As in StaticEmbedder.load, without the token.")
    _embedder: StaticEmbedder = PrivateAttr()

    def __init__(
        self,
        source: str | os.PathLike[str],
        *,
        options: dict[str, Any] | None = None,
        embed_batch_size: int = 1024,
        **others: Any,
    ) -> None:
        """Load the model.

        Args:
            source: as in `StaticEmbedder.load`.
            options: those of `StaticEmbedder.load` as a dict, as they are serialized.
            embed_batch_size: texts that LlamaIndex hands over together, at most 2048.
            others: further fields of BaseEmbedding, and options of `StaticEmbedder.load` by their names.

        Raises:
            SourceError: see `StaticEmbedder.load`.
            ArtifactError: see `StaticEmbedder.load`.
        """
        fields = {name: value for name, value in others.items() if name in BaseEmbedding.model_fields}
        given = {name: value for name, value in others.items() if name not in fields}
        given = {**(options or {}), **given}
        embedder = StaticEmbedder.load(source, **given)
        super().__init__(
            source=os.fspath(source),
            options=stored(given),
            embed_batch_size=embed_batch_size,
            **{"model_name": os.fspath(source), **fields},
        )
        self._embedder = embedder

    @classmethod
    def class_name(cls) -> str:
        """Name in serialized components."""
        return "PortvecEmbedding"

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        rows: list[list[float]] = encode_documents(self._embedder, texts).tolist()
        return rows

    def _get_text_embedding(self, text: str) -> list[float]:
        row: list[float] = encode_query(self._embedder, text).tolist()
        return row

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, query)
