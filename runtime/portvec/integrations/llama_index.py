"""LlamaIndex: a `BaseEmbedding`."""

from __future__ import annotations

import asyncio
import os
from textwrap import shorten
from typing import Any

import numpy as np
import numpy.typing as npt

from portvec._embedder import StaticEmbedder
from portvec.errors import InputError
from portvec.integrations._common import drop_token, encode_documents, encode_query, missing_extra

try:
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.bridge.pydantic import ConfigDict, Field, PrivateAttr
except ImportError as error:
    raise missing_extra("llama-index", "llama-index-core", error) from error


class PortvecEmbedding(BaseEmbedding):
    """Embeds nodes and queries for LlamaIndex.

    It serializes (`to_dict`, `to_json`, pickle) as its source, its options and the fields of BaseEmbedding,
    and loads the model again from these. A text without a known token raises InputError, because its
    embedding would be zero.
    """

    model_config = ConfigDict(extra="forbid")

    source: str = Field(description="An artifact folder, a Model2Vec folder, or a Hub id.")
    options: dict[str, Any] = Field(description="Options of StaticEmbedder.load, without the token.")
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
            source: an artifact folder, a Model2Vec folder, or a Hub id `owner/name` of either.
            options: keyword arguments of `StaticEmbedder.load` as a dict, as they are serialized.
            embed_batch_size: texts that LlamaIndex hands over together, at most 2048.
            others: further fields of BaseEmbedding, and keyword arguments of `StaticEmbedder.load`.

        Raises:
            SourceError: the source does not exist, cannot be fetched or is not a Model2Vec model.
            ArtifactError: the artifact is damaged.
        """
        base = BaseEmbedding.model_fields
        given = {**(options or {}), **{name: value for name, value in others.items() if name not in base}}
        embedder = StaticEmbedder.load(source, **given)
        fields: dict[str, Any] = {
            "model_name": os.fspath(source),
            "embed_batch_size": embed_batch_size,
            "source": os.fspath(source),
            "options": drop_token(given),
            **{name: value for name, value in others.items() if name in base},
        }
        super().__init__(**fields)
        self._embedder = embedder

    @classmethod
    def class_name(cls) -> str:
        """Name in serialized components."""
        return "PortvecEmbedding"

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._list(texts, encode_documents(self._embedder, texts))

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._list([query], encode_query(self._embedder, query)[np.newaxis])[0]

    def _list(self, texts: list[str], rows: npt.NDArray[np.float32]) -> list[list[float]]:
        """Return the embeddings of texts as lists.

        Raises:
            InputError: one is zero.
        """
        for index, (text, row) in enumerate(zip(texts, rows, strict=True)):
            # One zero vector makes LlamaIndex's own store rank NaNs and return wrong nodes for every query.
            if not row.any():
                raise InputError(
                    f"texts[{index}] ({shorten(text, 40)!r}) has no token that the model knows, so its "
                    "embedding is zero, which LlamaIndex cannot compare; leave it out"
                )
        listed: list[list[float]] = rows.tolist()
        return listed

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)
