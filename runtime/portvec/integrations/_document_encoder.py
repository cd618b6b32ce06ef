"""Documents embedded by something else than the model of the queries, such as a transformer."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from portvec.errors import OptionError

if TYPE_CHECKING:
    import numpy.typing as npt

# What pymilvus, sentence-transformers and model2vec call it. The first two put a document's prompt before it.
_METHODS = ("encode_documents", "encode_document", "encode")


class DocumentEncoder:
    """Embeds documents into the vector space of a model for queries.

    Attributes:
        name: names what embeds them in errors.
    """

    def __init__(self, encoder: Any, dim: int, queries: str | os.PathLike[str]) -> None:
        """Use `encoder` beside the model `queries`, whose embeddings have the length `dim`.

        Raises:
            OptionError: it cannot embed documents, or says that its embeddings have another length.
        """
        self._encode = _find_method(encoder)
        self.name = getattr(encoder, "__name__", type(encoder).__name__)
        self._dim = dim
        self._queries = queries
        if isinstance(getattr(encoder, "dim", None), int):
            self._check_dim(encoder.dim)

    def encode(self, texts: list[str]) -> list[npt.NDArray[np.float32]]:
        """Return the embeddings of documents, each float32 (dim,).

        Raises:
            OptionError: they are not one vector for each text, have another length, or are not finite.
        """
        if not texts:
            return []
        found = self._encode(texts)
        try:
            vectors = np.asarray(found)
            if vectors.dtype.kind in "cSU":
                raise TypeError  # numpy would drop the imaginary parts, and read texts
            vectors = vectors.astype(np.float32, copy=False)
        except (TypeError, ValueError) as error:
            raise OptionError(
                f"documents: {self.name} returns {type(found).__name__}, expected an array of numbers "
                f"({len(texts)}, {self._dim}) or a list of vectors"
            ) from error
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise OptionError(
                f"documents: {self.name} returns the shape {vectors.shape} for {len(texts)} texts, expected "
                f"({len(texts)}, {self._dim})"
            )
        self._check_dim(vectors.shape[1])
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            raise OptionError(
                f"documents: {self.name} returns NaN or infinity for documents[{finite.argmin()}], which "
                "cannot be searched; leave it out"
            )
        return list(vectors)

    def _check_dim(self, dim: int) -> None:
        if dim != self._dim:
            raise OptionError(
                f"documents: {self.name} embeds in {dim} dimensions, but {self._queries}, which embeds the "
                f"queries, in {self._dim}; use two models of the same vector space"
            )


def _find_method(encoder: Any) -> Callable[[list[str]], Any]:
    if not isinstance(encoder, (str, os.PathLike, type)):  # they have a method `encode` too
        for name in _METHODS:
            method = getattr(encoder, name, None)
            if callable(method):
                return method  # type: ignore[no-any-return]
        if callable(encoder):
            return encoder  # type: ignore[no-any-return]
    raise OptionError(
        f"documents is {encoder!r}, expected a loaded model with {', '.join(_METHODS[:-1])} or "
        f"{_METHODS[-1]}, or a function that embeds a list of str"
    )
