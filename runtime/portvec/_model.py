"""What an embedder and a classifier have in common."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from portvec._artifact.folder import Artifact
from portvec._artifact.manifest import Manifest
from portvec._cores import available_cores
from portvec._inference.pipeline import Pipeline
from portvec._inference.target import Target
from portvec._loading import is_damaged_conversion, load_artifact
from portvec._options import ModelOptions, accepts, check_path
from portvec.errors import ArtifactError

_M = TypeVar("_M", bound="LoadedModel")
_Source: TypeAlias = "str | os.PathLike[str]"


class LoadedModel(ABC):
    """An artifact that is loaded and ready to run.

    Threads may share one. It works after a fork. It pickles as its source and options, without the token,
    because a session of onnxruntime does not pickle.

    Attributes:
        manifest: what the artifact holds and where it came from.
        manifest_sha256: SHA-256 (hex) of the manifest file, which tells this artifact from any other.
    """

    def __init__(self, *_: object, **__: object) -> None:
        name = type(self).__name__
        raise TypeError(f"{name} has no constructor; use {name}.load(source)")

    def _start(
        self, artifact: Artifact, options: ModelOptions, source: _Source, *, output: str, width: int
    ) -> None:
        """Load what `open_artifact` has checked; `_open` calls this in place of a constructor."""
        self.manifest: Manifest = artifact.manifest
        self.manifest_sha256: str = artifact.manifest_sha256
        self._source = source
        self._options = options
        self._pipeline = Pipeline.load(
            artifact,
            Target(output, width, providers=options.providers),
            threads=options.threads or available_cores(),
            tokenizer=options.tokenizer,
            cache=options.tokenizer_cache,
        )

    @classmethod
    @abstractmethod
    def _open(cls: type[_M], artifact: Artifact, options: ModelOptions, source: _Source) -> _M:
        """Load an artifact that `open_artifact` has checked, and that came from `source`."""

    @classmethod
    @accepts(ModelOptions)
    def load(cls: type[_M], source: _Source, options: ModelOptions) -> _M:
        """Load an artifact, or convert a Model2Vec model once and load the result.

        Args:
            source: an artifact folder, a Model2Vec folder, or a Hub id `owner/name` (optionally
                `owner/name@revision`) of a repository that has either.
            options: the fields of `ModelOptions`, as keyword arguments.

        Raises:
            SourceError: the source does not exist, is not a Model2Vec model, cannot be fetched, or is an
                artifact that was exported with other options.
            MissingExtraError: the source must be converted, and the extra `export` is not installed.
            OptionError: an option has a value that is unknown or out of range.
            ExportError: what was fetched or converted cannot be written to the cache.
            ArtifactError: the artifact is damaged.
        """
        return _load(cls, source, options)

    @property
    def tokenizer(self) -> str:
        """Name of the tokenizer backend in use."""
        return self._pipeline.tokenizer

    def __repr__(self) -> str:
        manifest = self.manifest
        return f"{type(self).__name__}({str(self._source)!r}, dim={manifest.dim}, dtype={manifest.dtype!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _load, (type(self), self._source, replace(self._options, token=None))


def _load(cls: type[_M], source: _Source, options: ModelOptions) -> _M:
    check_path("the source", source)
    artifact = load_artifact(source, options)
    # A pickle may be loaded in another folder.
    path = Path(source).expanduser()
    absolute = path.absolute() if path.is_dir() else source
    try:
        return cls._open(artifact, options, absolute)
    except ArtifactError as error:
        if not is_damaged_conversion(artifact):
            raise
        return cls._open(load_artifact(source, options, damage=str(error)), options, absolute)
