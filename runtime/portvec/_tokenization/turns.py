"""One thread at a time for work that threads cannot share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from threading import RLock

from portvec._tokenization.tokenizer import Encoder
from portvec._vocabulary.token_ids import TokenIds

# Fewer characters take less than a millisecond, which is not worth waiting for another thread.
_FEW = 1 << 13


class TakingTurns:
    """Lets one thread at a time tokenize many texts.

    Between two calls of numpy, a thread needs the GIL. Threads that tokenize at the same time pass it back
    and forth every few microseconds, and take longer than one after the other. So one tokenizes while the
    others pool.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.name = encoder.name
        self._encoder = encoder
        # By process, so that a forked child does not wait for a thread that it does not have. Reentrant,
        # because a signal handler may run in the thread whose turn it is.
        self._turns: dict[int, RLock] = {}

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """Return ids without special tokens, padding or truncation."""
        if sum(map(len, texts)) < _FEW:
            return self._encoder.encode(texts)
        with self._turns.setdefault(os.getpid(), RLock()):
            return self._encoder.encode(texts)
