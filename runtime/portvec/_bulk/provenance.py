"""What a file of embeddings says about the model that they are from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from portvec._artifact import format as fmt
from portvec._embedder import StaticEmbedder
from portvec._tokenization.prompts import choose_prompt

# The key in the metadata of a schema. Its value is a JSON object with the fields of `Provenance`.
KEY: Final = b"portvec"


class Provenance(NamedTuple):
    """The model that embeddings are from, and which columns they and their texts are.

    Attributes:
        model: Hub id of the model, or the name of its folder.
        manifest_sha256: SHA-256 (hex) of the artifact's manifest.
        text: the column of texts.
        embedding: the column of embeddings.
        prompt: what was put before each text.
    """

    model: str
    manifest_sha256: str
    text: str
    embedding: str
    prompt: str = ""

    @classmethod
    def of(
        cls, embedder: StaticEmbedder, text: str, embedding: str, prompt_name: str = fmt.DOCUMENT
    ) -> Provenance:
        """Return what to write into a file of embeddings that `embedder` made.

        Raises:
            OptionError: the model has no prompt of this name.
        """
        prompt = choose_prompt(embedder.prompts, None, prompt_name, None)
        return cls(embedder.manifest.source.id, embedder.manifest_sha256, text, embedding, prompt)

    @classmethod
    def read(cls, metadata: Mapping[bytes, bytes] | None) -> Provenance | None:
        """Return what the metadata of a schema says; None if the file is not one of portvec's."""
        try:
            found = json.loads((metadata or {})[KEY])
            return cls(**{name: str({"prompt": "", **found}[name]) for name in cls._fields})
        except (KeyError, TypeError, ValueError):
            return None

    def metadata(self) -> dict[bytes, bytes]:
        """Return the entry for the metadata of a schema."""
        values = {name: value for name, value in self._asdict().items() if value or name != "prompt"}
        return {KEY: json.dumps(values, sort_keys=True).encode()}
