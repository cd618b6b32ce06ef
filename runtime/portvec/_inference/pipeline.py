"""Texts to embeddings: an artifact's tokenizer and graphs, run over chunks of texts."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np

from portvec._artifact.folder import Artifact
from portvec._cores import use_every_core
from portvec._inference.batching import Batch, Tiling, lay_out
from portvec._inference.graphs import GraphStrategy, choose_strategy
from portvec._inference.target import Target
from portvec._inference.threads import Threads
from portvec._itertools import batched
from portvec._tokenization.selection import choose_tokenizer
from portvec._tokenization.texts import check_iterable, check_texts
from portvec._tokenization.tokenizer import Tokenizer
from portvec._vocabulary.token_ids import Ids, TokenIds

if TYPE_CHECKING:
    import numpy.typing as npt

# Texts tokenized together. This bounds the memory for ids, however many texts there are.
CHUNK = 2048
# Handing work to another thread takes as long as embedding a thousand tokens, so it must have several
# thousand.
MIN_SHARED_TOKENS = 1 << 13


class Pipeline:
    """Runs texts through one output of an artifact's graphs. Threads may share one.

    Attributes:
        width: columns of the output.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        graphs: GraphStrategy,
        tiling: Tiling,
        width: int,
        threads: Threads,
        *,
        chunk: int = CHUNK,
        min_shared_tokens: int = MIN_SHARED_TOKENS,
    ) -> None:
        """Connect the parts.

        `threads` share chunks of `chunk` texts. If there is only one chunk, they share its batches, provided
        that it has `min_shared_tokens` tokens.
        """
        self.width = width
        self._tokenizer = tokenizer
        self._graphs = graphs
        self._tiling = tiling
        self._threads = threads
        self._chunk = chunk
        self._min_shared_tokens = min_shared_tokens

    @classmethod
    def load(
        cls,
        artifact: Artifact,
        target: Target,
        *,
        threads: int = 1,
        tokenizer: str = "auto",
        cache: int | None = None,
    ) -> Pipeline:
        """Load the tokenizer and the graphs of an artifact. `cache` is the most ids that it keeps.

        Raises:
            OptionError: the tokenizer is unknown, or onnxruntime does not have a provider.
            MissingExtraError: the accelerator asked for is not installed.
            ArtifactError: a file cannot be loaded, or the accelerator asked for gives other ids.
        """
        return cls(
            # A backend's own pool has a thread for each core, so it may run only if all cores are granted.
            choose_tokenizer(artifact, tokenizer, parallel=use_every_core(threads), cache=cache),
            choose_strategy(artifact, target),
            Tiling.of(artifact.manifest),
            target.width,
            Threads(threads),
        )

    @property
    def tokenizer(self) -> str:
        """Name of the tokenizer backend in use."""
        return self._tokenizer.name

    def tokenize(self, texts: Iterable[str]) -> TokenIds:
        """Return the token ids of texts, truncated and without UNK."""
        return self._tokenizer.tokenize(check_texts(list(check_iterable(texts))))

    def run(self, texts: str | Iterable[str]) -> npt.NDArray[np.float32]:
        """Return float32 (width,) for a str, and (n, width) for n texts in input order."""
        if isinstance(texts, str):
            return self._run_one(texts)
        if isinstance(texts, (list, tuple)) and len(texts) == 1:  # vector databases send queries like this
            return self._run_one(*check_texts(texts))[np.newaxis]
        return self._run_many(check_iterable(texts))

    def _run_one(self, text: str) -> npt.NDArray[np.float32]:
        return self._graphs.run_one(self._tokenizer.tokenize_one(text))

    def _run_many(self, texts: Iterable[str]) -> npt.NDArray[np.float32]:
        """Return the rows of any number of texts."""
        whole: npt.NDArray[np.float32] | None = None
        if isinstance(texts, (list, tuple)):  # their number is known, so rows are written where they belong
            texts = check_texts(texts)
            whole = np.empty((len(texts), self.width), dtype=np.float32)
        calls = (
            partial(self._run_chunk, chunk, number * self._chunk, whole)
            for number, chunk in enumerate(batched(texts, self._chunk))
        )
        head = list(islice(calls, 2))
        if len(head) > 1:
            parts = self._threads.run(chain(head, calls), ahead=self._threads.count + 1)
        else:
            parts = [call(share=True) for call in head]
        if whole is not None:
            return whole
        return np.concatenate(parts) if parts else np.zeros((0, self.width), dtype=np.float32)

    def _run_chunk(
        self, texts: list[str], first: int, whole: npt.NDArray[np.float32] | None, *, share: bool = False
    ) -> npt.NDArray[np.float32]:
        """Return the rows of `texts`, of which the first has the index `first`.

        They are rows of `whole` if it is given. Its texts are checked already.
        """
        if whole is None:
            texts = check_texts(texts, first)
            out = np.empty((len(texts), self.width), dtype=np.float32)
        else:
            out = whole[first : first + len(texts)]
        self.pool(self._tokenizer.tokenize(texts, first), out, share=share)
        return out

    def pool(self, tokens: TokenIds, out: npt.NDArray[np.float32], *, share: bool = False) -> None:
        """Write the output for n texts to the rows of `out`, float32 (n, width).

        With `share`, the threads share the batches if there are enough tokens.
        """
        is_empty = np.diff(tokens.offsets) == 0
        if is_empty.any():
            out[is_empty] = self._graphs.run_one(tokens.ids[:0])

        def run(rows: Ids, batch: Batch) -> None:
            out[rows] = self._graphs.run(batch)[: len(rows)]

        calls = (partial(run, rows, batch) for rows, batch in lay_out(tokens, self._tiling))
        if share and len(tokens.ids) >= self._min_shared_tokens:
            self._threads.run(calls)
        else:
            for call in calls:
                call()
