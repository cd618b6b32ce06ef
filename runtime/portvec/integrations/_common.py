"""What the adapters share."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from portvec._embedder import StaticEmbedder
from portvec._messages import install
from portvec._options import ModelOptions, check_path
from portvec._tokenization.texts import check_iterable
from portvec.errors import MissingExtraError


def missing_extra(
    extra: str, package: str, error: ImportError, *, module: str | None = None
) -> MissingExtraError:
    """Return the error to raise when a framework, or what is needed of it, cannot be imported.

    The adapter's `module` has the name of the extra unless it is given.
    """
    module = module or extra.replace("-", "_")
    return MissingExtraError(
        f"portvec.integrations.{module} needs {package}, which cannot be imported ({error}); {install(extra)}"
    )


def encode_documents(embedder: StaticEmbedder, texts: Iterable[str]) -> npt.NDArray[np.float32]:
    """Embed documents: float32 (n, dim). A str, which is easily passed by mistake, is refused."""
    return embedder.encode_documents(check_iterable(texts))


def encode_query(embedder: StaticEmbedder, text: str) -> npt.NDArray[np.float32]:
    """Embed a query: float32 (dim,)."""
    row: npt.NDArray[np.float32] = embedder.encode_queries([text])[0]
    return row


class LazyEmbedder:
    """A source and options, whose names are checked at once, and which are loaded at the first use.

    Some frameworks build an embedder from what they stored at every call, so embedders of the same model
    share one StaticEmbedder. It pickles as its source and options.

    Attributes:
        source: as given, as a str.
        options: as given, without the token, so that they may be stored.
    """

    def __init__(self, source: str | os.PathLike[str], options: dict[str, Any]) -> None:
        check_path("the source", source)
        self._options = ModelOptions(**options)
        self.source = os.fspath(source)
        self.options = drop_token(options)

    @property
    def embedder(self) -> StaticEmbedder:
        """The loaded model.

        Raises:
            SourceError: the source does not exist, cannot be fetched or is not a Model2Vec model.
            ArtifactError: the artifact is damaged.
        """
        return _load(self.source, _identity(self.source), self._options)

    def __reduce__(self) -> tuple[Any, ...]:
        return LazyEmbedder, (self.source, self.options)


def drop_token(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that may be stored: all but the token."""
    return {name: value for name, value in options.items() if name != "token"}


def _identity(source: str) -> tuple[str, int, int] | None:
    """Return what differs if another folder has this name, now or later; None if it is no folder."""
    try:
        stat = os.stat(source)  # noqa: PTH116
    except OSError:
        return None  # a Hub id, or an error that loading reports
    return os.path.abspath(source), stat.st_ino, stat.st_mtime_ns  # noqa: PTH100


@lru_cache(maxsize=8)
def _load(source: str, identity: tuple[str, int, int] | None, options: ModelOptions) -> StaticEmbedder:
    return StaticEmbedder.load(source, **vars(options))
