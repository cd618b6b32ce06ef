"""LanceDB: an embedding function, in its registry as "portvec".

Import this module before opening a table that was made with it: LanceDB then rebuilds the function
from the table's schema.
"""

from __future__ import annotations

from typing import Any

from portvec._tokenization.texts import check_iterable
from portvec.integrations._common import LazyEmbedder, encode_documents, missing_extra

try:
    from lancedb.embeddings import TextEmbeddingFunction, register
    from pydantic import ConfigDict, PrivateAttr
except ImportError as error:
    raise missing_extra("lancedb", "lancedb", error) from error


@register("portvec")
class PortvecEmbeddings(TextEmbeddingFunction):
    """Embeds documents and queries for LanceDB.

    `create(source=..., **options)` makes one. The source must be a str. The options are keyword arguments of
    `StaticEmbedder.load`, and an unknown one raises TypeError. A token must be a variable of the registry:
    `token="$var:name"`. The model is loaded at the first use. Functions with the same
    source and options share the loaded model.
    """

    model_config = ConfigDict(extra="allow")

    source: str
    _model: LazyEmbedder = PrivateAttr()

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._model = LazyEmbedder(self.source, self.model_extra or {})

    @staticmethod
    def sensitive_keys() -> list[str]:
        """Options that LanceDB refuses to store."""
        return ["token"]

    def ndims(self) -> int:
        """Length of an embedding."""
        return self._model.embedder.dim

    def generate_embeddings(self, texts: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """Embed n documents: a list of n float32 (dim,) arrays, with None for a null.

        Raises:
            InputError: an element is neither a str nor None.
        """
        texts = list(check_iterable(texts))
        rows = iter(encode_documents(self._model.embedder, [text for text in texts if text is not None]))
        return [None if text is None else next(rows) for text in texts]

    def compute_query_embeddings(self, query: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """Embed a query, or n of them: a list of float32 (dim,) arrays.

        Raises:
            InputError: an element is not a str.
        """
        return list(self._model.embedder.encode_queries(self.sanitize_input(query)))

    # LanceDB retries for minutes. That helps with a remote model, but not with the errors of a local one.

    def compute_source_embeddings_with_retry(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Embed without retries, and raise errors unchanged."""
        vectors: list[Any] = self.compute_source_embeddings(*args, **kwargs)
        return vectors

    def compute_query_embeddings_with_retry(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Embed without retries, and raise errors unchanged."""
        vectors: list[Any] = self.compute_query_embeddings(*args, **kwargs)
        return vectors
