"""StaticEmbedder: an artifact, loaded and ready to embed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact
from portvec._artifact.manifest import Manifest
from portvec._inference.pipeline import Engine, Reloadable, resolve
from portvec._loading import ModelOptions
from portvec._tokenization.selection import TokenizerChoice
from portvec._tokenization.tokenizer import TokenIds

if TYPE_CHECKING:
    import numpy.typing as npt


class StaticEmbedder(Reloadable):
    """Embeds texts with an artifact. Made by `StaticEmbedder.load`.

    Safe to use from several threads and after a fork; pickles as its source and options.

    Attributes:
        dim: length of an embedding.
        manifest: what the artifact holds and where it came from.
    """

    def __init__(
        self,
        artifact: Artifact,
        *,
        threads: int = 1,
        tokenizer: TokenizerChoice = "auto",
        providers: Sequence[str] | None = None,
        optimize: bool = True,
        graph: str | None = None,
    ) -> None:
        self.manifest: Manifest = artifact.manifest
        self._engine = Engine(
            artifact,
            output=fmt.SENTENCE_EMBEDDING,
            width=artifact.manifest.dim,
            threads=threads,
            tokenizer=tokenizer,
            providers=providers,
            optimize=optimize,
            graph=graph,
        )
        self._remember(artifact.folder, {"threads": threads, "tokenizer": tokenizer, "providers": providers})

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str],
        *,
        threads: int | None = None,
        tokenizer: TokenizerChoice = "auto",
        providers: Sequence[str] | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
        subfolder: str | None = None,
        force_download: bool = False,
        dtype: str | None = None,
        dim: int | None = None,
        vocabulary_size: int | None = None,
        normalize: bool | None = None,
        max_length: int | Literal["model"] | None = "model",
    ) -> StaticEmbedder:
        """Load an artifact, or convert a Model2Vec model once and load the result.

        Args:
            source: an artifact folder, a Model2Vec folder, or a Hub id `owner/name` (optionally
                `owner/name@revision`) that holds either.
            threads: pooling threads; all cores that the process may use if None.
            tokenizer: "tokenizers", "nanotoken" (of the `fast` extra), or "auto": the fastest one that is
                installed and gives the ids that the artifact recorded.
            providers: onnxruntime execution providers; the CPU if None.
            revision: branch, tag or commit on the Hub.
            token: Hub access token; True or None use the one that huggingface_hub finds.
            subfolder: folder inside the repository or local folder.
            force_download: ask the Hub again, even if the cache holds the model.
            dtype: table type of a conversion, "float32" if None.
            dim: embedding length of a conversion, shorter than the model's; the model's if None.
            vocabulary_size: number of vectors that all token ids share in a conversion, found by model2vec's
                k-means; each id has its own if None.
            normalize: whether a conversion yields unit vectors; as the model does if None.
            max_length: tokens kept of a text in a conversion, None for all; the model's by default.

        Raises:
            SourceError: the source does not exist, is no Model2Vec model, cannot be fetched, or is
                an artifact that was exported with other options.
            MissingExtraError: it must be converted and the `export` extra is not installed.
            ArtifactError: the artifact is damaged.
        """
        options = ModelOptions(
            revision=revision,
            token=token,
            subfolder=subfolder,
            force_download=force_download,
            dtype=dtype,
            dim=dim,
            vocabulary_size=vocabulary_size,
            normalize=normalize,
            max_length=max_length,
        )
        artifact, threads_to_use = resolve(source, options, threads=threads)
        embedder = cls(artifact, threads=threads_to_use, tokenizer=tokenizer, providers=providers)
        embedder._remember(
            source, {"threads": threads, "tokenizer": tokenizer, "providers": providers, **vars(options)}
        )
        return embedder

    @property
    def tokenizer(self) -> str:
        """Name of the tokenizer implementation in use."""
        return self._engine.tokenizer

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
            ArtifactError: the artifact's tokenizer and graph do not fit each other.
        """
        rows = self._engine.run(texts)
        if isinstance(texts, str):
            row: npt.NDArray[np.float32] = rows[0]
            return row
        return rows

    def tokenize(self, texts: Iterable[str]) -> TokenIds:
        """Return the token ids that `encode` pools, truncated and without UNK.

        Raises:
            InputError: an element is not a str, or holds a lone surrogate.
        """
        return self._engine.tokenize(texts)
