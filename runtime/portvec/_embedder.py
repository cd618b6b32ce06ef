"""StaticEmbedder: an artifact, loaded and ready to embed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from portvec import _format as fmt
from portvec._artifact import Artifact, open_artifact
from portvec._batches import batched
from portvec._graph import Graph
from portvec._manifest import Manifest
from portvec._pooling import pool
from portvec._sources import ModelOptions, artifact_folder
from portvec._threads import available_cores
from portvec._tokens import HuggingFaceTokenizer, TokenIds, check_texts
from portvec.errors import InputError

# Texts tokenized and pooled together. Bounds the memory that ids take, whatever the input's length.
_WAVE = 4096

_T = TypeVar("_T")


class StaticEmbedder:
    """Embeds texts with an artifact. Made by `StaticEmbedder.load`.

    Attributes:
        dim: length of an embedding.
        manifest: what the artifact holds and where it came from.
    """

    def __init__(
        self, artifact: Artifact, *, threads: int, providers: Sequence[str] | None, optimize: bool = True
    ) -> None:
        self.manifest: Manifest = artifact.manifest
        self._tokenizer = HuggingFaceTokenizer(artifact.path(fmt.TOKENIZER), artifact.manifest)
        self._graph = Graph(
            artifact.path(fmt.GRAPH), artifact.manifest.dim, providers=providers, optimize=optimize
        )
        self._executor: Executor | None = (
            ThreadPoolExecutor(threads, thread_name_prefix="portvec") if threads > 1 else None
        )

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str],
        *,
        threads: int | None = None,
        tokenizer: Literal["auto", "tokenizers"] = "auto",
        providers: Sequence[str] | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
        subfolder: str | None = None,
        force_download: bool = False,
        dtype: str | None = None,
        dim: int | None = None,
        normalize: bool | None = None,
        max_length: int | Literal["model"] | None = "model",
    ) -> StaticEmbedder:
        """Load an artifact, or convert a Model2Vec model once and load the result.

        Args:
            source: an artifact folder, a Model2Vec folder, or a Hub id `owner/name` (optionally
                `owner/name@revision`) that holds either.
            threads: pooling threads; all cores that the process may use if None.
            tokenizer: which tokenizer implementation; "auto" takes the fastest exact one.
            providers: onnxruntime execution providers; the CPU if None.
            revision: branch, tag or commit on the Hub.
            token: Hub access token; True or None use the one that huggingface_hub finds.
            subfolder: folder inside the repository or local folder.
            force_download: ask the Hub again, even if the cache holds the model.
            dtype: table type of a conversion, "float32" if None.
            dim: embedding length of a conversion, shorter than the model's; the model's if None.
            normalize: whether a conversion yields unit vectors; as the model does if None.
            max_length: tokens kept of a text in a conversion, None for all; the model's by default.

        Raises:
            SourceError: the source does not exist, is no Model2Vec model, cannot be fetched, or is
                an artifact that was exported with other options.
            MissingExtraError: it must be converted and the `export` extra is not installed.
            ArtifactError: the artifact is damaged.
        """
        if tokenizer not in ("auto", "tokenizers"):
            raise InputError(f"tokenizer is {tokenizer!r}, expected 'auto' or 'tokenizers'")
        if threads is not None and (not isinstance(threads, int) or threads < 1):
            raise InputError(f"threads is {threads!r}, expected a whole number of 1 or more, or None")
        options = ModelOptions(
            revision=revision,
            token=token,
            subfolder=subfolder,
            force_download=force_download,
            dtype=dtype,
            dim=dim,
            normalize=normalize,
            max_length=max_length,
        )
        artifact = open_artifact(artifact_folder(source, options))
        return cls(artifact, threads=threads or available_cores(), providers=providers)

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.manifest.dim

    def encode(self, texts: str | Iterable[str]) -> npt.NDArray[np.float32]:
        """Embed one text, or any iterable of texts.

        Returns:
            float32 (dim,) for a str, (n, dim) for n texts, in input order. Text that is empty or
            holds only unknown tokens gets the zero vector.

        Raises:
            InputError: an element is not a str, or holds a lone surrogate.
        """
        if isinstance(texts, str):
            row: npt.NDArray[np.float32] = self._encode_wave([texts])[0]
            return row
        parts = [self._encode_wave(wave) for wave in batched(_iterable(texts), _WAVE)]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.zeros((0, self.dim), dtype=np.float32)

    def tokenize(self, texts: Iterable[str]) -> TokenIds:
        """Return the token ids that `encode` pools, truncated and without UNK.

        Raises:
            InputError: an element is not a str, or holds a lone surrogate.
        """
        if isinstance(texts, str):
            raise InputError("texts is a str, expected a list of str; wrap it as [text]")
        return self._tokenizer(check_texts(list(_iterable(texts))))

    def _encode_wave(self, texts: list[str]) -> npt.NDArray[np.float32]:
        out = np.empty((len(texts), self.dim), dtype=np.float32)
        pool(self._tokenizer(check_texts(texts)), self._graph, out, self._executor)
        return out


def _iterable(texts: Iterable[_T]) -> Iterable[_T]:
    if isinstance(texts, (bytes, bytearray, dict)) or not isinstance(texts, Iterable):
        raise InputError(f"texts is a {type(texts).__name__}, expected a str or an iterable of str")
    return texts
