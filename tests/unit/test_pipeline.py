"""Chunks, threads and batches on the way from texts to embeddings: the rows stay what they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact, open_artifact
from portvec._inference.batching import Batch, Tiling, lay_out
from portvec._inference.graphs import choose_strategy
from portvec._inference.pipeline import Pipeline
from portvec._inference.target import Target
from portvec._inference.threads import Threads
from portvec._itertools import batched
from portvec._tokenization.selection import choose_tokenizer
from portvec._tokenization.tokenizer import Tokenizer
from portvec._vocabulary.token_ids import Ids, TokenIds, flatten
from portvec.errors import InputError
from rounding import assert_close

WORDS = ["return", "the", "value", "of", "a", "function", "or", "an", "object", "that", "was", "given"]
TEXTS = [" ".join(WORDS[: number % 9] * (1 + number % 4)) for number in range(23)]
CHUNK = 5

T = TypeVar("T")


@pytest.fixture
def artifact(tiny: Path) -> Artifact:
    return open_artifact(tiny)


def target_of(artifact: Artifact) -> Target:
    return Target(fmt.SENTENCE_EMBEDDING, artifact.manifest.dim)


def connect(
    artifact: Artifact,
    *,
    threads: Threads | int = 1,
    tokenizer: Any = None,
    graphs: Any = None,
    tiling: Tiling | None = None,
    **options: Any,
) -> Pipeline:
    """Return a pipeline for small chunks, with the artifact's parts where no others are given."""
    return Pipeline(
        tokenizer or choose_tokenizer(artifact),
        graphs or choose_strategy(artifact, target_of(artifact)),
        tiling or Tiling.of(artifact.manifest),
        artifact.manifest.dim,
        Threads(threads) if isinstance(threads, int) else threads,
        chunk=CHUNK,
        **options,
    )


class CountingThreads(Threads):
    """Counts the calls that are shared."""

    calls = 0

    def run(self, calls: Iterable[Callable[[], T]], **options: Any) -> list[T]:
        results = super().run(calls, **options)
        self.calls += len(results)
        return results

    def stream(self, calls: Iterable[Callable[[], T]], **options: Any) -> Iterator[T]:
        for result in super().stream(calls, **options):
            self.calls += 1
            yield result


class WatchedTokenizer:
    """An artifact's tokenizer that calls a function before each chunk, with the index of its first text."""

    def __init__(self, artifact: Artifact, watch: Callable[[int], object]) -> None:
        self._inner: Tokenizer = choose_tokenizer(artifact)
        self._watch = watch

    def tokenize(self, texts: Sequence[str], first: int = 0) -> TokenIds:
        self._watch(first)
        return self._inner.tokenize(texts, first)


class WatchedGraphs:
    """An artifact's graph that keeps what it has run."""

    def __init__(self, artifact: Artifact) -> None:
        self._inner = choose_strategy(artifact, target_of(artifact))
        self.batches: list[Batch] = []
        self.single: list[Ids] = []

    def run(self, batch: Batch) -> Any:
        self.batches.append(batch)
        return self._inner.run(batch)

    def run_one(self, ids: Ids) -> Any:
        self.single.append(ids)
        return self._inner.run_one(ids)


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5, 6, 9, 10, 11, 23])
@pytest.mark.parametrize("threads", [1, 3])
def test_rows_are_those_of_single_texts(artifact: Artifact, threads: int, count: int) -> None:
    pipeline = connect(artifact, threads=threads)
    texts = TEXTS[:count]
    expected = [pipeline.run(text) for text in texts]
    forms: list[Iterable[str]] = [texts, tuple(texts), iter(texts), (text for text in texts)]
    for form in forms:
        rows = pipeline.run(form)
        assert rows.dtype == np.float32
        assert rows.shape == (count, pipeline.width)
        for row, alone in zip(rows, expected, strict=True):
            assert_close(row, alone)


@pytest.mark.parametrize("form", [list, iter])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("position", [0, 4, 5, 12, 22])
def test_errors_count_from_the_first_text(
    artifact: Artifact, threads: int, form: Callable[[list[Any]], Iterable[str]], position: int
) -> None:
    pipeline = connect(artifact, threads=threads)
    for wrong, error in [(None, "is None, a missing value"), ("\ud800", "holds the lone surrogate")]:
        texts: list[Any] = [*TEXTS]
        texts[position] = wrong
        with pytest.raises(InputError, match=rf"^texts\[{position}\] {error}"):
            pipeline.run(form(texts))


def test_a_list_is_checked_before_anything_runs(artifact: Artifact) -> None:
    graphs = WatchedGraphs(artifact)
    texts: list[Any] = [*TEXTS, None]
    with pytest.raises(InputError, match=rf"^texts\[{len(TEXTS)}\]"):
        connect(artifact, graphs=graphs).run(texts)
    assert graphs.batches == graphs.single == []


@pytest.mark.parametrize("form", [list, tuple])
def test_one_text_in_a_list_runs_as_a_query(
    artifact: Artifact, form: Callable[[list[str]], Sequence[str]]
) -> None:
    graphs = WatchedGraphs(artifact)
    pipeline = connect(artifact, graphs=graphs)
    rows = pipeline.run(form([TEXTS[5]]))
    np.testing.assert_array_equal(rows, pipeline.run(TEXTS[5])[np.newaxis])
    assert len(graphs.single) == 2
    assert graphs.batches == []
    with pytest.raises(InputError, match=r"^texts\[0\] is of type int, expected str"):
        pipeline.run(form([3]))  # type: ignore[list-item]


def test_tokenize(artifact: Artifact) -> None:
    pipeline = connect(artifact)
    tokenizer = choose_tokenizer(artifact)
    expected = [tokenizer.tokenize([text]).lists()[0] for text in TEXTS]
    assert [bool(ids) for ids in expected] == [bool(text) for text in TEXTS]
    for texts_as in (TEXTS, (text for text in TEXTS)):
        assert pipeline.tokenize(texts_as).lists() == expected
    texts: list[Any] = ["a", 2]
    with pytest.raises(InputError, match=r"^texts\[1\] is of type int, expected str"):
        pipeline.tokenize(texts)
    with pytest.raises(InputError, match="texts is a str, expected a list of str"):
        pipeline.tokenize("a")


class TestSharing:
    """Threads get chunks, or the batches of a single chunk that has enough tokens."""

    def shared_calls(self, artifact: Artifact, texts: list[str], **options: Any) -> int:
        threads = CountingThreads(2)
        rows = connect(artifact, threads=threads, **options).run(texts)
        assert_close(rows, connect(artifact).run(texts))
        return threads.calls

    def test_chunks(self, artifact: Artifact) -> None:
        assert self.shared_calls(artifact, TEXTS) == 5
        assert self.shared_calls(artifact, TEXTS[: CHUNK + 1]) == 2

    def test_batches_of_shared_chunks_are_not_shared_again(self, artifact: Artifact) -> None:
        assert self.shared_calls(artifact, TEXTS, min_shared_tokens=1) == 5

    def test_a_single_chunk_with_few_tokens_is_not_shared(self, artifact: Artifact) -> None:
        assert self.shared_calls(artifact, TEXTS[:CHUNK]) == 0

    def test_batches_of_a_single_chunk(self, artifact: Artifact) -> None:
        texts = ["return the value", "of", "a function", "return " * 40, "or an object"]
        assert len(texts) == CHUNK
        tokens = connect(artifact).tokenize(texts)
        tiling = Tiling(artifact.manifest.vocabulary_size, 60)
        batches = len(list(lay_out(tokens, tiling)))
        assert batches > 1
        count = len(tokens.ids)
        assert self.shared_calls(artifact, texts, tiling=tiling, min_shared_tokens=count) == batches
        assert self.shared_calls(artifact, texts, tiling=tiling, min_shared_tokens=count + 1) == 0

    def test_chunks_are_not_read_far_ahead(self, artifact: Artifact) -> None:
        read: list[str] = []
        ahead: list[int] = []

        def texts() -> Iterator[str]:
            for text in TEXTS * 20:
                read.append(text)
                yield text

        def watch(first: int) -> None:
            time.sleep(0.002)
            ahead.append(len(read) - first)

        pipeline = connect(artifact, threads=2, tokenizer=WatchedTokenizer(artifact, watch))
        assert len(pipeline.run(texts())) == len(read) == 460
        assert max(ahead) <= (2 + 1 + 1) * CHUNK

    def test_every_thread_is_busy(self, artifact: Artifact) -> None:
        barrier = threading.Barrier(2)
        tokenizer = WatchedTokenizer(artifact, lambda _: barrier.wait(10))
        texts = TEXTS[: 4 * CHUNK]
        rows = connect(artifact, threads=2, tokenizer=tokenizer).run(texts)
        assert_close(rows, connect(artifact).run(texts))


class TestStream:
    """Rows come in batches, while threads work on the next texts."""

    @pytest.mark.parametrize("size", [1, 3, CHUNK, CHUNK + 2, 2 * CHUNK, 1000])
    @pytest.mark.parametrize("threads", [1, 2])
    def test_batches_have_the_rows_of_their_texts(self, artifact: Artifact, size: int, threads: int) -> None:
        pipeline = connect(artifact, threads=threads)
        batches = list(pipeline.stream(batched(TEXTS, size)))
        assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
        assert_close(np.concatenate(batches), pipeline.run(TEXTS))

    def test_batches_may_be_of_any_size(self, artifact: Artifact) -> None:
        sizes = [0, 3, 0, 2 * CHUNK, 1, 0]
        texts = iter(TEXTS)
        batches = [list(islice(texts, size)) for size in sizes]
        rows = list(connect(artifact, threads=2).stream(batches))
        assert list(map(len, rows)) == sizes
        assert_close(np.concatenate(rows), connect(artifact).run(TEXTS[: sum(sizes)]))

    def test_a_batch_of_one_has_the_bits_of_a_single_text(self, artifact: Artifact) -> None:
        pipeline = connect(artifact, threads=2)
        for text, rows in zip(TEXTS, pipeline.stream([[text] for text in TEXTS]), strict=True):
            np.testing.assert_array_equal(rows, pipeline.run(text)[np.newaxis])

    def test_no_texts_give_no_batch(self, artifact: Artifact) -> None:
        assert list(connect(artifact, threads=2).stream([])) == []

    @pytest.mark.parametrize("threads", [1, 2])
    def test_texts_are_not_read_far_ahead(self, artifact: Artifact, threads: int) -> None:
        read: list[str] = []
        texts = (read.append(text) or text for text in TEXTS * 20)  # type: ignore[func-returns-value]
        yielded = 0
        for batch in connect(artifact, threads=threads).stream(batched(texts, CHUNK)):
            yielded += len(batch)
            assert len(read) - yielded <= (threads + 1) * CHUNK
        assert yielded == 460

    def test_the_pool_is_free_between_batches(self, artifact: Artifact) -> None:
        threads = CountingThreads(2)
        pipeline = connect(artifact, threads=threads)
        batches = pipeline.stream(batched(TEXTS, CHUNK))
        next(batches)
        threads.calls = 0
        pipeline.run(TEXTS)
        assert threads.calls == 5

    def test_what_is_left_is_cancelled(self, artifact: Artifact) -> None:
        seen: list[int] = []
        pipeline = connect(artifact, threads=2, tokenizer=WatchedTokenizer(artifact, seen.append))
        batches = pipeline.stream(batched(TEXTS * 20, CHUNK))
        next(batches)
        batches.close()  # type: ignore[attr-defined]
        assert len(seen) <= 4

    def test_errors_count_from_the_first_text(self, artifact: Artifact) -> None:
        texts: list[Any] = [*TEXTS[:7], 3]
        with pytest.raises(InputError, match=r"^texts\[7\] is of type int"):
            list(connect(artifact).stream(batched(texts, 3)))
        with pytest.raises(InputError, match=r"^texts\[8\] holds the lone surrogate"):
            list(connect(artifact, threads=2).stream(batched([*TEXTS[:8], "\ud800"], 3)))


def test_finished_texts_are_counted(artifact: Artifact) -> None:
    for texts in (TEXTS, iter(TEXTS), TEXTS[:2]):
        counts: list[int] = []
        rows = connect(artifact, threads=2).run(texts, counts.append)
        assert sum(counts) == len(rows)


def test_texts_without_tokens(artifact: Artifact) -> None:
    graphs = WatchedGraphs(artifact)
    pipeline = connect(artifact, graphs=graphs)
    out = np.full((3, pipeline.width), 7, np.float32)
    pipeline.pool(flatten([[], [5, 6], []]), out)
    assert not out[[0, 2]].any()
    assert [len(ids) for ids in graphs.single] == [0]  # for both empty texts
    assert len(graphs.batches) == 1
    alone = np.full((1, pipeline.width), 7, np.float32)
    pipeline.pool(flatten([[5, 6]]), alone)
    assert len(graphs.batches) == 2
    assert_close(out[1], alone[0])


def test_a_loaded_pipeline_gives_the_same_rows(artifact: Artifact) -> None:
    expected = connect(artifact).run(TEXTS)
    for threads in (1, 2):
        assert_close(Pipeline.load(artifact, target_of(artifact), threads=threads).run(TEXTS), expected)
