"""What the adapters share."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from portvec._embedder import StaticEmbedder
from portvec.errors import InputError, MissingExtraError


def missing_extra(extra: str, package: str, error: ImportError) -> MissingExtraError:
    """Return the error to raise when a framework, or what is needed of it, cannot be imported."""
    module = extra.replace("-", "_")
    return MissingExtraError(
        f"portvec.integrations.{module} needs {package}, which cannot be imported ({error}); "
        f"run pip install 'portvec[{extra}]'"
    )


def encode_documents(embedder: StaticEmbedder, texts: Iterable[str]) -> npt.NDArray[np.float32]:
    """Embed a list of texts: float32 (n, dim). A bare str, easily passed by mistake, is refused."""
    if isinstance(texts, str):
        raise InputError("texts is a str, expected a list of str; wrap it as [text]")
    return embedder.encode(texts)


def encode_query(embedder: StaticEmbedder, text: str) -> npt.NDArray[np.float32]:
    """Embed one text: float32 (dim,)."""
    row: npt.NDArray[np.float32] = embedder.encode([text])[0]
    return row


class LazyEmbedder:
    """A source and options, checked by name at once, loaded when first needed.

    For frameworks that build an embedder from what they stored, some of them at every call: those of
    the same model share one StaticEmbedder. Pickles as its source and options.

    Attributes:
        source: as given, as a str.
        options: as given, without the token: what may be stored.
    """

    def __init__(self, source: str | os.PathLike[str], options: dict[str, Any]) -> None:
        inspect.signature(StaticEmbedder.load).bind(source, **options)  # TypeError for an unknown option
        self.source = os.fspath(source)
        self.options = stored(options)
        self._token = options.get("token")

    @property
    def embedder(self) -> StaticEmbedder:
        """The loaded model.

        Raises:
            SourceError: see `StaticEmbedder.load`.
            ArtifactError: see `StaticEmbedder.load`.
        """
        options = json.dumps(self.options, sort_keys=True)
        return _load(self.source, _identity(self.source), options, self._token)

    def __reduce__(self) -> tuple[Any, ...]:
        return LazyEmbedder, (self.source, self.options)


def stored(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that may be written down: all but the token."""
    return {name: value for name, value in options.items() if name != "token"}


def _identity(source: str) -> tuple[str, int, int] | None:
    """Tell folders apart that had the same name at different times, or from different folders."""
    try:
        stat = os.stat(source)  # noqa: PTH116
    except OSError:
        return None  # a Hub id, or an error that loading reports
    return os.path.abspath(source), stat.st_ino, stat.st_mtime_ns  # noqa: PTH100


@lru_cache(maxsize=8)
def _load(
    source: str, identity: tuple[str, int, int] | None, options: str, token: str | bool | None
) -> StaticEmbedder:
    return StaticEmbedder.load(source, token=token, **json.loads(options))
