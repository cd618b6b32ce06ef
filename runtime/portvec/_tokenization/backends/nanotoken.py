"""The nanotoken library, for WordPiece."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from portvec._tokenization.forks import Shared
from portvec._tokenization.token_ids import TokenIds


class NanotokenEncoder:
    """WordPiece by the nanotoken library."""

    name = "nanotoken"
    package = "nanotoken"
    extra = "fast"
    models = frozenset({"WordPiece"})

    def __init__(self, content: bytes, *, parallel: bool = True) -> None:
        import nanotoken

        self._encode_batch = Shared(lambda: nanotoken.Tokenizer.from_json(content).encode_batch)
        # None lets the library decide: it runs in parallel, but not in a forked child.
        self._parallel = None if parallel else False

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """Return ids without special tokens, padding or truncation."""
        found = self._encode_batch(texts, add_special_tokens=False, parallel=self._parallel)
        return TokenIds(found.ids.astype(np.int64), found.offsets)
