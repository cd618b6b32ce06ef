"""Texts to embeddings: an artifact's tokenizer and graphs, run over chunks of texts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from portvec._artifact.folder import Artifact
from portvec._inference.batching import Batch, Tiling, lay_out
from portvec._inference.graphs import GraphStrategy, choose_strategy
from portvec._inference.row_buffer import RowBuffer
from portvec._inference.target import Target
from portvec._inference.text_tokenizer import open_tokenizer
from portvec._inference.threads import Threads
from portvec._itertools import batched
from portvec._tokenization.texts import check_iterable, check_texts
from portvec._tokenization.tokenizer import Tokenizer
from portvec._vocabulary.token_ids import Ids, TokenIds

if TYPE_CHECKING:
    import numpy.typing as npt

_Rows: TypeAlias = "npt.NDArray[np.float32]"

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
            ArtifactError: a file cannot be loaded or is not there, or the accelerator asked for gives other
                ids.
        """
        return cls(
            open_tokenizer(artifact, tokenizer, threads=threads, cache=cache),
            choose_strategy(artifact, target),
            Tiling.of(artifact.manifest),
            target.width,
            Threads(threads),
        )

    def prompted(self, prompt: str) -> Pipeline:
        """Return a pipeline that puts `prompt` before each text, and shares all else with this one."""
        if not prompt:
            return self
        other = copy.copy(self)
        other._tokenizer = self._tokenizer.prompted(prompt)
        return other

    @property
    def tokenizer(self) -> str:
        """Name of the tokenizer backend in use."""
        return self._tokenizer.name

    def tokenize(self, texts: Iterable[str]) -> TokenIds:
        """Return the token ids of texts, truncated and without UNK."""
        return self._tokenizer.tokenize(check_texts(list(check_iterable(texts))))

    def run(
        self, texts: str | Iterable[str], done: Callable[[int], object] | None = None
    ) -> npt.NDArray[np.float32]:
        """Return float32 (width,) for a str, and (n, width) for n texts in input order.

        For many texts, `done` is called now and then with the number of further ones that are finished.
        """
        if isinstance(texts, str):
            return self._run_one(texts)
        if isinstance(texts, (list, tuple)) and len(texts) == 1:  # vector databases send queries like this
            return self._run_one(*check_texts(texts))[np.newaxis]
        return self._run_many(check_iterable(texts), done)

    def stream(self, batches: Iterable[Sequence[str]]) -> Iterator[npt.NDArray[np.float32]]:
        """Yield float32 (m, width) for each batch of m texts.

        The threads do not wait for the end of a batch. Only a few chunks of texts are read before their rows
        are yielded.
        """

        def list_calls() -> Iterator[Callable[[], npt.NDArray[np.float32]]]:
            first = 0
            for batch in batches:
                checked = check_texts(batch, first)
                whole = np.empty((len(checked), self.width), dtype=np.float32)
                if len(checked) == 1:  # which has the bits of a single text
                    yield partial(self._fill_one, checked[0], whole[:])
                else:
                    for start in range(0, len(checked) or 1, self._chunk):
                        part = slice(start, start + self._chunk)
                        yield partial(self._run_chunk, checked[part], first + start, whole[part])
                first += len(checked)

        finished = 0
        for rows in self._threads.stream(list_calls(), ahead=self._ahead):
            whole = rows.base
            assert whole is not None
            finished += len(rows)
            if finished == len(whole):
                yield whole
                finished = 0

    def list_token_vectors(self, text: str, max_length: int | None) -> npt.NDArray[np.float32]:
        """Return the vectors of the tokens of one text, as `stream_token_vectors` does."""
        table = self._graphs.require_table()
        return table.gather(self._tokenizer.keeping(max_length).tokenize_one(text))

    def stream_token_vectors(
        self, texts: Iterable[str], max_length: int | None
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the vectors, float32 (tokens, dim), of the tokens of each text.

        Of a text, the first `max_length` tokens are kept, whatever the model's limit is, or all if None. Only
        token ids of a few chunks of texts are in memory at a time, because vectors take a hundred times as
        much.
        """
        table = self._graphs.require_table()
        tokenizer = self._tokenizer.keeping(max_length)
        chunks = enumerate(batched(check_iterable(texts), self._chunk))
        calls = (
            partial(tokenizer.tokenize, check_texts(chunk, number * self._chunk), number * self._chunk)
            for number, chunk in chunks
        )
        return (
            table.gather(tokens.ids[start:stop])
            for tokens in self._threads.stream(calls, ahead=self._ahead)
            for start, stop in pairwise(tokens.offsets.tolist())
        )

    def _run_one(self, text: str) -> npt.NDArray[np.float32]:
        return self._graphs.run_one(self._tokenizer.tokenize_one(text))

    def _fill_one(self, text: str, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        rows[0] = self._run_one(text)
        return rows

    def _run_many(
        self, texts: Iterable[str], done: Callable[[int], object] | None
    ) -> npt.NDArray[np.float32]:
        """Return the rows of any number of texts."""
        if isinstance(texts, (list, tuple)):  # their number is known, so rows are written where they belong
            whole = np.empty((len(texts), self.width), dtype=np.float32)
            chunks = batched(check_texts(texts), self._chunk)
            firsts = range(0, len(texts), self._chunk)
            calls = (
                partial(self._run_chunk, chunk, first, whole[first : first + self._chunk])
                for first, chunk in zip(firsts, chunks, strict=True)
            )
            for rows in self._share(calls):
                if done is not None:
                    done(len(rows))
            return whole
        buffer = RowBuffer(self.width)
        calls = (
            partial(self._run_chunk, check_texts(chunk, number * self._chunk), number * self._chunk)
            for number, chunk in enumerate(batched(texts, self._chunk))
        )
        for rows in self._share(calls):
            buffer.append(rows)
            if done is not None:
                done(len(rows))
        return buffer.finish()

    def _share(self, calls: Iterator[partial[_Rows]]) -> Iterator[_Rows]:
        """Yield the rows of chunks in order. The threads share them, or the batches of a single one."""
        head = list(islice(calls, 2))
        if len(head) > 1:
            return self._threads.stream(chain(head, calls), ahead=self._ahead)
        return (call(share=True) for call in head)

    def _run_chunk(
        self,
        texts: list[str],
        first: int,
        out: npt.NDArray[np.float32] | None = None,
        *,
        share: bool = False,
    ) -> npt.NDArray[np.float32]:
        """Return the rows of `texts`, of which the first has the index `first`, in `out` if it is given."""
        if out is None:
            out = np.empty((len(texts), self.width), dtype=np.float32)
        self.pool(self._tokenizer.tokenize(texts, first), out, share=share)
        return out

    @property
    def _ahead(self) -> int:
        """How many chunks are tokenized or pooled, or wait to be returned."""
        return self._threads.count + 1

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
