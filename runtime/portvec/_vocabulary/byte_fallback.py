"""Spelling what no piece covers in tokens for bytes."""

from __future__ import annotations

from portvec._vocabulary.file import VocabularyFile


class ByteFallback:
    """The ids of the tokens `<0x00>` to `<0xFF>`, as far as the vocabulary has them."""

    def __init__(self, file: VocabularyFile) -> None:
        """Use the array `byte_ids` of a file: int32 (256,), negative where there is no token.

        Raises:
            ArtifactError: there is no such array.
        """
        self._ids: list[int] = file.array("byte_ids", "int32", 256).tolist()

    def spell(self, text: str) -> list[int] | None:
        """Return the ids of a text's bytes in UTF-8, or None if one of them has no token."""
        ids = [self._ids[byte] for byte in text.encode()]
        return None if min(ids) < 0 else ids
