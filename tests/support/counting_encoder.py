"""An encoder that tells which texts were tokenized, for tests of what a cache spares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from portvec._tokenization.backends.huggingface import PlainEncoder
from portvec._vocabulary.token_ids import Ids, TokenIds


class CountingEncoder(PlainEncoder):
    """Records the texts that are tokenized, in whatever way."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, parallel=False)
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str]) -> TokenIds:
        before = len(self.seen)
        tokens = super().encode(texts)
        self.seen[before:] = texts
        return tokens

    def encode_separated(self, texts: Sequence[str], separator: str) -> TokenIds:
        self.seen += texts
        return super().encode_separated(texts, separator)

    def encode_joined(
        self, words: Sequence[str], spelled: Ids, mark: str
    ) -> tuple[TokenIds, npt.NDArray[np.bool_]]:
        tokens, is_right = super().encode_joined(words, spelled, mark)
        self.seen += [word for word, right in zip(words, is_right, strict=True) if right]
        return tokens, is_right
