"""The nanotoken library, for WordPiece."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from portvec._tokenization.forks import Shared
from portvec._vocabulary.token_ids import TokenIds


class NanotokenEncoder:
    """WordPiece by the nanotoken library."""

    name = "nanotoken"
    package = "nanotoken"
    extra = "fast"
    models = frozenset({"WordPiece"})

    def __init__(self, content: bytes, *, parallel: bool = True) -> None:
        import nanotoken

        def make() -> partial[Any]:
            tokenizer = nanotoken.Tokenizer.from_json(content)
            # None lets the library decide: it runs in parallel, but not in a forked child.
            return partial(
                tokenizer.encode_batch, add_special_tokens=False, parallel=None if parallel else False
            )

        self._encode_batch = Shared(make)

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """Return ids without special tokens, padding or truncation."""
        found = self._encode_batch(texts)
        return TokenIds(found.ids.astype(np.int64), found.offsets)
