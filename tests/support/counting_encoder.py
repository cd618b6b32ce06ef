"""An encoder that tells which texts were tokenized, for tests of what a cache spares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from portvec._tokenization.backends.huggingface import PlainEncoder
from portvec._tokenization.token_ids import TokenIds


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

    def encode_joined(self, words: Sequence[str], mark: str) -> TokenIds:
        before = len(self.seen)
        tokens = super().encode_joined(words, mark)
        self.seen[before:] = words
        return tokens
