"""The embedding-function interface of Milvus (pymilvus.model)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from portvec._embedder import StaticEmbedder
from portvec._tokenization.selection import TokenizerChoice
from portvec.errors import InputError, SourceError

if TYPE_CHECKING:
    import numpy.typing as npt

_DTYPES = {None: None, "float32": "float32", "float16": "float16"}


class Model2VecEmbeddingFunction:
    """Embeds documents and queries for Milvus; drop-in for `pymilvus.model.dense`'s class.

    It does not derive from pymilvus's base class, whose import brings transformers in. Embeddings
    are always float32, as Milvus wants them, and are never NaN.

    Attributes:
        dim: length of an embedding, as a collection's `dimension`.
    """

    def __init__(
        self,
        model_source: str | os.PathLike[str] = "minishlab/potion-base-8M",
        *,
        token: str | bool | None = None,
        revision: str | None = None,
        subfolder: str | None = None,
        force_download: bool = False,
        normalize: bool | None = None,
        max_length: int | Literal["model"] | None = "model",
        dimensionality: int | None = None,
        quantize_to: str | None = None,
        vocabulary_quantization: int | None = None,
        threads: int | None = None,
        tokenizer: TokenizerChoice = "auto",
        providers: Sequence[str] | None = None,
    ) -> None:
        """Load the model, converting it first where needed.

        Args:
            model_source: as `source` of `StaticEmbedder.load`.
            token: as in `StaticEmbedder.load`; so are revision, subfolder, force_download, normalize,
                max_length, threads, tokenizer and providers.
            revision: see above.
            subfolder: see above.
            force_download: see above; False by default, unlike model2vec's.
            normalize: see above.
            max_length: see above.
            dimensionality: `dim` of `StaticEmbedder.load`, by its name in model2vec.
            quantize_to: `dtype` of `StaticEmbedder.load`, by its name in model2vec.
            vocabulary_quantization: `vocabulary_size` of `StaticEmbedder.load`, by its name in model2vec.
            threads: see above.
            tokenizer: see above.
            providers: see above.

        Raises:
            SourceError: see `StaticEmbedder.load`.
            ArtifactError: see `StaticEmbedder.load`.
        """
        if quantize_to not in _DTYPES:
            raise SourceError(f"quantize_to is {quantize_to!r}, expected 'float32', 'float16' or None")
        self.model_source = model_source
        self._embedder = StaticEmbedder.load(
            model_source,
            threads=threads,
            tokenizer=tokenizer,
            providers=providers,
            revision=revision,
            token=token,
            subfolder=subfolder,
            force_download=force_download,
            dtype=_DTYPES[quantize_to],
            dim=dimensionality,
            vocabulary_size=vocabulary_quantization,
            normalize=normalize,
            max_length=max_length,
        )

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self._embedder.dim

    def encode_documents(self, documents: Iterable[str]) -> list[npt.NDArray[np.float32]]:
        """Embed documents: a list of float32 (dim,) arrays in input order.

        Raises:
            InputError: `documents` is a single str, or an element is not a str.
        """
        return self._encode(documents, "documents")

    def encode_queries(self, queries: Iterable[str]) -> list[npt.NDArray[np.float32]]:
        """Embed queries: a list of float32 (dim,) arrays in input order.

        Raises:
            InputError: `queries` is a single str, or an element is not a str.
        """
        return self._encode(queries, "queries")

    def __call__(self, texts: Iterable[str]) -> list[npt.NDArray[np.float32]]:
        """Embed texts: a list of float32 (dim,) arrays in input order.

        Raises:
            InputError: `texts` is a single str, or an element is not a str.
        """
        return self._encode(texts, "texts")

    def _encode(self, texts: Iterable[str], name: str) -> list[npt.NDArray[np.float32]]:
        if isinstance(texts, str):
            raise InputError(f"{name} is a str, expected a list of str; wrap it as [text]")
        return list(self._embedder.encode(texts))
