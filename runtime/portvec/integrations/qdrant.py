"""Qdrant: texts to points and queries, for a client in local mode or of a server.

qdrant-client's own inference takes only fastembed's models. This module makes the vectors and leaves the rest
to the client.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

from portvec._embedder import StaticEmbedder
from portvec._itertools import batched
from portvec._tokenization.texts import check_iterable, check_texts
from portvec.errors import OptionError
from portvec.integrations._common import encode_query, missing_extra

try:
    from qdrant_client.models import Distance, PointStruct, VectorParams
except ImportError as error:
    raise missing_extra("qdrant", "qdrant-client", error) from error

# Texts embedded together: enough to be fast, and few enough to keep the memory for points small.
_BATCH = 1024


class PortvecEncoder:
    """Makes the points and queries of a collection. It pickles as its source and options."""

    def __init__(
        self, source: str | os.PathLike[str], *, vector_name: str | None = None, **options: Any
    ) -> None:
        """Load the model.

        Args:
            source: an artifact folder, a Model2Vec folder, or a Hub id `owner/name` of either.
            vector_name: name of the vector in a collection of named vectors (`using` in queries).
            options: keyword arguments of `StaticEmbedder.load`; an unknown one raises TypeError.

        Raises:
            SourceError: the source does not exist, cannot be fetched or is not a Model2Vec model.
            ArtifactError: the artifact is damaged.
        """
        self._embedder = StaticEmbedder.load(source, **options)
        self._vector_name = vector_name

    def vectors_config(self, distance: Distance = Distance.COSINE) -> Any:
        """Return the argument `vectors_config` of `create_collection`."""
        params = VectorParams(size=self._embedder.dim, distance=distance)
        return params if self._vector_name is None else {self._vector_name: params}

    def points(
        self,
        texts: Sequence[str],
        *,
        ids: Sequence[int | str] | None = None,
        payloads: Sequence[Mapping[str, Any]] | None = None,
        text_key: str | None = "text",
    ) -> Iterator[PointStruct]:
        """Yield points in the order of the texts, and embed texts as points are consumed.

        Args:
            texts: one for each point.
            ids: Qdrant's ids, whole numbers or UUIDs; new UUIDs if None.
            payloads: what to store with each point.
            text_key: key in the payload under which the text is stored; None for not at all.

        Raises:
            InputError: `texts` is a str, or an element is not one.
            OptionError: `ids` or `payloads` differ from the texts in number.
        """
        texts = check_texts(list(check_iterable(texts)))
        for name, given in (("ids", ids), ("payloads", payloads)):
            if given is not None and len(given) != len(texts):
                raise OptionError(
                    f"{name} has {len(given)} entries, expected {len(texts)}, one for each text"
                )
        return self._points(texts, ids, payloads, text_key)

    def query(self, text: str) -> list[float]:
        """Embed a query: a list of dim floats, for the argument `query` of `query_points`.

        Raises:
            InputError: `text` is not a str.
        """
        row: list[float] = encode_query(self._embedder, text).tolist()
        return row

    def _points(
        self,
        texts: Sequence[str],
        ids: Sequence[int | str] | None,
        payloads: Sequence[Mapping[str, Any]] | None,
        text_key: str | None,
    ) -> Iterator[PointStruct]:
        for batch in batched(range(len(texts)), _BATCH):
            rows = self._embedder.encode_documents([texts[i] for i in batch]).tolist()
            for i, row in zip(batch, rows, strict=True):
                payload = dict(payloads[i]) if payloads is not None else {}
                if text_key is not None:
                    payload[text_key] = texts[i]
                yield PointStruct(
                    id=str(uuid4()) if ids is None else ids[i],
                    vector=row if self._vector_name is None else {self._vector_name: row},
                    payload=payload,
                )
