"""Starting with one encoder and switching to a faster one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from portvec._tokenization.tokenizer import Encoder
from portvec._vocabulary.locks import begin_loading, end_loading
from portvec._vocabulary.token_ids import TokenIds

# The first encoder needs less time for this many characters than a faster one needs to load.
_FIRST_CHARACTERS = 20_000
# Seconds to wait for another thread that loads the faster encoder, which takes a tenth of that.
_PATIENCE = 1.0


class GrowingEncoder:
    """Uses one encoder for the first texts, and then one that is faster but takes longer to load.

    Loading the faster one at the start would delay a program's first vector by about 100 ms. While one thread
    loads it, others wait for it with many texts, and go on with the first with a few. A signal handler in the
    thread that loads goes on with the first.
    """

    def __init__(self, first: Encoder, load_faster: Callable[[], Encoder]) -> None:
        self._first: Encoder | None = first
        self._load_faster: Callable[[], Encoder] | None = load_faster
        self._faster: Encoder | None = None
        self._characters = 0

    @property
    def name(self) -> str:
        """Name of the encoder for many texts, which this loads unless another thread does so now."""
        return self._grow().name

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """Return ids without special tokens, padding or truncation."""
        encoder = self._faster or self._choose(sum(map(len, texts)))
        return encoder.encode(texts)

    def _choose(self, characters: int) -> Encoder:
        """Count more characters, and return the encoder to use for them."""
        # Two threads may count at once, so that one number is lost. Loading is then a little later.
        self._characters += characters
        first = self._first
        if first is not None and self._characters <= _FIRST_CHARACTERS:
            return first
        return self._grow(_PATIENCE if characters > _FIRST_CHARACTERS else 0.0)

    def _grow(self, patience: float = 0.0) -> Encoder:
        """Return the faster encoder, and use it from now on; the first if this thread may not load now."""
        first = self._first
        if first is not None:
            if not begin_loading(patience):
                return first
            try:
                if self._load_faster is not None:  # no thread has loaded it meanwhile
                    self._faster = self._load_faster()
                    self._first = self._load_faster = None  # both hold the vocabulary
            finally:
                end_loading()
        assert self._faster is not None
        return self._faster
