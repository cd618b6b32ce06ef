"""Texts to embeddings: an artifact's tokenizer and graphs, run over chunks of texts."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from portvec._artifact.folder import Artifact
from portvec._inference.batching import Batch, Layout, lay_out, lay_out_one
from portvec._inference.graphs import choose_strategy
from portvec._inference.session import Target
from portvec._itertools import batched
from portvec._tokenization.selection import choose_tokenizer
from portvec._tokenization.texts import check_iterable, check_texts, refuse_single_text
from portvec._tokenization.token_ids import Ids, TokenIds

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    import numpy.typing as npt

# Texts tokenized together. This bounds the memory for ids, however many texts there are.
_CHUNK = 2048
# Handing work to another thread takes as long as embedding a thousand tokens, so it must have several
# thousand.
_MIN_SHARED_TOKENS = 1 << 13

_T = TypeVar("_T")


class Pipeline:
    """Runs texts through one output of an artifact's graphs. Threads may share one.

    Attributes:
        width: columns of the output.
    """

    def __init__(
        self, artifact: Artifact, target: Target, *, threads: int = 1, tokenizer: str = "auto"
    ) -> None:
        self.width = target.width
        self._tokenizer = choose_tokenizer(artifact, tokenizer, threads)
        self._graphs = choose_strategy(artifact, target)
        self._layout = Layout.of(artifact.manifest)
        self._threads = threads
        self._executor: Executor | None = None
        self._executor_process = 0

    @property
    def tokenizer(self) -> str:
        """Name of the tokenizer backend in use."""
        return self._tokenizer.name

    def tokenize(self, texts: Iterable[str]) -> TokenIds:
        """Return the token ids of texts, truncated and without UNK."""
        refuse_single_text(texts)
        return self._tokenizer.tokenize(check_texts(list(check_iterable(texts))))

    def run(self, texts: str | Iterable[str]) -> npt.NDArray[np.float32]:
        """Return float32 (width,) for a str, and (n, width) for n texts in input order."""
        if isinstance(texts, str):
            return self._run_one(texts)
        if isinstance(texts, (list, tuple)) and len(texts) == 1:  # vector databases send queries like this
            return self._run_one(*check_texts(texts))[np.newaxis]
        return self._run_many(check_iterable(texts))

    def _run_one(self, text: str) -> npt.NDArray[np.float32]:
        return self._embed(self._tokenizer.tokenize_one(text))

    def _run_many(self, texts: Iterable[str]) -> npt.NDArray[np.float32]:
        """Return the rows of any number of texts. Threads share chunks, or the batches of a single chunk."""
        whole: npt.NDArray[np.float32] | None = None
        if isinstance(texts, (list, tuple)):  # their number is known, so rows are written where they belong
            texts = check_texts(texts)
            whole = np.empty((len(texts), self.width), dtype=np.float32)
        calls = (
            partial(self._run_chunk, chunk, number * _CHUNK, whole)
            for number, chunk in enumerate(batched(texts, _CHUNK))
        )
        head = list(islice(calls, 2))
        if self._threads > 1 and len(head) > 1:
            parts = _run_in_order(self._get_executor(), chain(head, calls), ahead=self._threads + 1)
        else:
            parts = [call(share=self._threads > 1) for call in chain(head, calls)]
        if whole is not None:
            return whole
        return np.concatenate(parts) if parts else np.zeros((0, self.width), dtype=np.float32)

    def _run_chunk(
        self, texts: list[str], first: int, whole: npt.NDArray[np.float32] | None, *, share: bool = False
    ) -> npt.NDArray[np.float32]:
        """Return the rows of `texts`, of which the first has the index `first`: rows of `whole` if given."""
        if whole is None:
            out = np.empty((len(texts), self.width), dtype=np.float32)
        else:
            out = whole[first : first + len(texts)]
        self.pool(self._tokenizer.tokenize(check_texts(texts, first), first), out, share=share)
        return out

    def pool(self, tokens: TokenIds, out: npt.NDArray[np.float32], *, share: bool = False) -> None:
        """Write the output for n texts to the rows of `out`, float32 (n, width).

        With `share`, the threads share the batches if there are enough tokens.
        """
        is_empty = np.diff(tokens.offsets) == 0
        if is_empty.any():
            out[is_empty] = self._embed(tokens.ids[:0])

        def run(rows: Ids, batch: Batch) -> None:
            out[rows] = self._graphs.run(batch)[: len(rows)]

        calls = (partial(run, rows, batch) for rows, batch in lay_out(tokens, self._layout))
        if share and len(tokens.ids) >= _MIN_SHARED_TOKENS:
            _run_in_order(self._get_executor(), calls, ahead=sys.maxsize)
        else:
            for call in calls:
                call()

    def _embed(self, ids: Ids) -> npt.NDArray[np.float32]:
        """Return the row of a text with the token ids (n,)."""
        row: npt.NDArray[np.float32] = self._graphs.run(lay_out_one(ids, self._layout))[0]
        return row

    def _get_executor(self) -> Executor:
        """Return this process's threads. A forked child has none of its parent's."""
        if self._executor is None or self._executor_process != os.getpid():
            from concurrent.futures import ThreadPoolExecutor  # slow to import, and often not needed

            self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="portvec")
            self._executor_process = os.getpid()
        return self._executor


def _run_in_order(executor: Executor, calls: Iterable[Callable[[], _T]], ahead: int) -> list[_T]:
    """Return the results of `calls` in order. At most `ahead` of them are taken and not yet done."""
    results: list[_T] = []
    pending: deque[Future[_T]] = deque()
    try:
        for call in calls:
            pending.append(executor.submit(call))
            if len(pending) >= ahead:
                results.append(pending.popleft().result())
        results += [future.result() for future in pending]
    finally:  # after an error or Ctrl-C, do not start the calls that are left
        for future in pending:
            future.cancel()
    return results
