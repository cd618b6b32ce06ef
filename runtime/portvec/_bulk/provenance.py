"""What a file of embeddings says about the model that they are from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from portvec._embedder import StaticEmbedder

# The key in the metadata of a schema. Its value is a JSON object with the fields of `Provenance`.
KEY: Final = b"portvec"


class Provenance(NamedTuple):
    """The model that embeddings are from, and which columns they and their texts are.

    Attributes:
        model: Hub id of the model, or the name of its folder.
        manifest_sha256: SHA-256 (hex) of the artifact's manifest.
        text: the column of texts.
        embedding: the column of embeddings.
    """

    model: str
    manifest_sha256: str
    text: str
    embedding: str

    @classmethod
    def of(cls, embedder: StaticEmbedder, text: str, embedding: str) -> Provenance:
        """Return what to write into a file of embeddings that `embedder` made."""
        return cls(embedder.manifest.source.id, embedder.manifest_sha256, text, embedding)

    @classmethod
    def read(cls, metadata: Mapping[bytes, bytes] | None) -> Provenance | None:
        """Return what the metadata of a schema says; None if the file is not one of portvec's."""
        try:
            found = json.loads((metadata or {})[KEY])
            return cls(*(str(found[name]) for name in cls._fields))
        except (KeyError, TypeError, ValueError):
            return None

    def metadata(self) -> dict[bytes, bytes]:
        """Return the entry for the metadata of a schema."""
        return {KEY: json.dumps(self._asdict(), sort_keys=True).encode()}
