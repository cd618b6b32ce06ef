"""One thread at a time for work that threads cannot share."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from portvec._tokenization.tokenizer import Encoder
from portvec._vocabulary.locks import ForkSafeLock, holds_a_lock, watch_forks
from portvec._vocabulary.token_ids import TokenIds

# Fewer characters take less than a millisecond, which is not worth waiting for another thread.
_FEW = 1 << 13


class TakingTurns:
    """Lets one thread at a time tokenize many texts.

    Between two calls of numpy, a thread needs the GIL. Threads that tokenize at the same time pass it back
    and forth every few microseconds, and take longer than one after the other. So one tokenizes while the
    others pool.

    A thread that holds a lock does not wait, because the thread whose turn it is may need that lock. That is
    so in a signal handler that has interrupted a call of portvec.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.name = encoder.name
        self._encoder = encoder
        self._turn = ForkSafeLock(delays_forks=False)

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """Return ids without special tokens, padding or truncation."""
        # While Python shuts down, the thread whose turn it is may be frozen.
        if sum(map(len, texts)) < _FEW or holds_a_lock() or sys.is_finalizing():
            return self._encoder.encode(texts)
        watch_forks()
        with self._turn:
            return self._encoder.encode(texts)
