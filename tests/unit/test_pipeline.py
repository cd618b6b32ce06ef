"""Chunks, threads and batches on the way from texts to embeddings: the rows stay what they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact, open_artifact
from portvec._inference import pipeline as _pipeline
from portvec._inference.batching import Layout, lay_out, lay_out_one
from portvec._inference.graphs import ConsumerGraph, OptimizedGraphs, choose_strategy
from portvec._inference.pipeline import Pipeline
from portvec._inference.session import Session, Target
from portvec._tokenization.token_ids import TokenIds, flatten
from portvec.errors import InputError
from project import PREBUILT

WORDS = ["return", "the", "value", "of", "a", "function", "or", "an", "object", "that", "was", "given"]
TEXTS = [" ".join(WORDS[: number % 9] * (1 + number % 4)) for number in range(23)]
CHUNK = 5


def assert_close(rows: npt.NDArray[np.float32], expected: npt.NDArray[Any]) -> None:
    """Compare. Batches have other shapes than a single text, so onnxruntime may round differently."""
    np.testing.assert_allclose(rows, expected, rtol=0, atol=3e-7)


@pytest.fixture
def artifact(tiny: Path) -> Artifact:
    return open_artifact(tiny)


def target_of(artifact: Artifact, graph: str | None = None) -> Target:
    return Target(fmt.SENTENCE_EMBEDDING, artifact.manifest.dim, graph=graph)


def load(artifact: Artifact, **options: Any) -> Pipeline:
    return Pipeline(artifact, target_of(artifact), **options)


class Recorder(ThreadPoolExecutor):
    """Counts the calls that it gets, with the largest number that were not done yet."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.calls = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.calls += 1
        return super().submit(fn, *args, **kwargs)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pipeline, "_CHUNK", CHUNK)


def watch(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, threads: int) -> Recorder:
    """Let a pipeline use an executor that counts."""
    executor = Recorder(threads)
    monkeypatch.setattr(pipeline, "_get_executor", lambda: executor)
    return executor


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("count", [0, 1, 2, 4, 5, 6, 9, 10, 11, 23])
@pytest.mark.parametrize("threads", [1, 3])
def test_rows_are_those_of_single_texts(artifact: Artifact, threads: int, count: int) -> None:
    pipeline = load(artifact, threads=threads)
    texts = TEXTS[:count]
    expected = [pipeline.run(text) for text in texts]
    forms: list[Iterable[str]] = [texts, tuple(texts), iter(texts), (text for text in texts)]
    for form in forms:
        rows = pipeline.run(form)
        assert rows.dtype == np.float32
        assert rows.shape == (count, pipeline.width)
        for row, alone in zip(rows, expected, strict=True):
            assert_close(row, alone)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("form", [list, iter])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("position", [0, 4, 5, 12, 22])
def test_errors_count_from_the_first_text(
    artifact: Artifact, threads: int, form: Callable[[list[Any]], Iterable[str]], position: int
) -> None:
    pipeline = load(artifact, threads=threads)
    for wrong, error in [(None, "is a NoneType"), ("\ud800", "holds the lone surrogate")]:
        texts: list[Any] = [*TEXTS]
        texts[position] = wrong
        with pytest.raises(InputError, match=rf"^texts\[{position}\] {error}"):
            pipeline.run(form(texts))


def test_a_list_is_checked_before_anything_runs(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = load(artifact)
    monkeypatch.setattr(_pipeline, "_CHUNK", CHUNK)
    monkeypatch.setattr(Pipeline, "pool", None)
    texts: list[Any] = [*TEXTS, None]
    with pytest.raises(InputError, match=rf"^texts\[{len(TEXTS)}\]"):
        pipeline.run(texts)


@pytest.mark.parametrize("form", [list, tuple])
def test_one_text_in_a_list_takes_the_way_of_a_query(
    artifact: Artifact, form: Callable[[list[str]], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = load(artifact)
    monkeypatch.setattr(Pipeline, "pool", None)
    rows = pipeline.run(form([TEXTS[5]]))
    np.testing.assert_array_equal(rows, pipeline.run(TEXTS[5])[np.newaxis])
    with pytest.raises(InputError, match=r"^texts\[0\] is a int"):
        pipeline.run(form([3]))  # type: ignore[list-item]


def test_tokenize(artifact: Artifact) -> None:
    pipeline = load(artifact)
    tokens = pipeline.tokenize(text for text in TEXTS)
    assert tokens.lists() == pipeline.tokenize(TEXTS).lists()
    assert [bool(ids) for ids in tokens.lists()] == [bool(text) for text in TEXTS]
    texts: list[Any] = ["a", 2]
    with pytest.raises(InputError, match=r"^texts\[1\] is a int"):
        pipeline.tokenize(texts)
    with pytest.raises(InputError, match="texts"):
        pipeline.tokenize("a")


@pytest.mark.usefixtures("small_chunks")
class TestSharing:
    """Threads get chunks, or the batches of a single chunk that has enough tokens."""

    def run(self, artifact: Artifact, monkeypatch: pytest.MonkeyPatch, texts: list[str], threads: int) -> int:
        pipeline = load(artifact, threads=threads)
        executor = watch(pipeline, monkeypatch, threads)
        expected = load(artifact).run(texts)
        assert_close(pipeline.run(texts), expected)
        return executor.calls

    def test_chunks(self, artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.run(artifact, monkeypatch, TEXTS, 3) == 5
        assert self.run(artifact, monkeypatch, TEXTS[: CHUNK + 1], 2) == 2

    def test_nothing(self, artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.run(artifact, monkeypatch, TEXTS, 1) == 0
        assert self.run(artifact, monkeypatch, TEXTS[:CHUNK], 2) == 0

    def test_batches(self, artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
        texts = TEXTS[:CHUNK]
        tokens = load(artifact).tokenize(texts)
        monkeypatch.setattr(Layout, "of", lambda manifest: Layout(manifest.vocabulary_size, 17))
        batches = len(list(lay_out(tokens, Layout.of(artifact.manifest))))
        monkeypatch.setattr(_pipeline, "_MIN_SHARED_TOKENS", len(tokens.ids))
        assert self.run(artifact, monkeypatch, texts, 2) == batches
        assert self.run(artifact, monkeypatch, texts, 1) == 0
        monkeypatch.setattr(_pipeline, "_MIN_SHARED_TOKENS", len(tokens.ids) + 1)
        assert self.run(artifact, monkeypatch, texts, 2) == 0

    def test_chunks_are_not_read_far_ahead(self, artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
        pipeline = load(artifact, threads=2)
        read: list[str] = []

        def texts() -> Iterator[str]:
            for text in TEXTS * 20:
                read.append(text)
                yield text

        run_chunk = pipeline._run_chunk
        starts: list[int] = []

        def counted(chunk: list[str], first: int, *arguments: Any, **options: Any) -> Any:
            time.sleep(0.002)
            starts.append(len(read) - first)
            return run_chunk(chunk, first, *arguments, **options)

        monkeypatch.setattr(pipeline, "_run_chunk", counted)
        assert len(pipeline.run(texts())) == len(read) == 460
        assert max(starts) <= (2 + 1 + 1) * CHUNK

    def test_every_thread_is_busy(self, artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
        pipeline = load(artifact, threads=2)
        barrier = threading.Barrier(2)
        run_chunk = pipeline._run_chunk

        def together(*arguments: Any, **options: Any) -> Any:
            barrier.wait(10)
            return run_chunk(*arguments, **options)

        monkeypatch.setattr(pipeline, "_run_chunk", together)
        texts = TEXTS[: 4 * CHUNK]
        assert_close(pipeline.run(texts), load(artifact).run(texts))

    def test_one_thread_unless_asked_for_more(
        self, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pipeline = load(artifact)
        executor = watch(pipeline, monkeypatch, 1)
        pipeline.run(TEXTS)
        assert executor.calls == 0

    def test_threads_are_kept(self, artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
        pipeline = load(artifact, threads=2)
        executor = pipeline._get_executor()
        assert pipeline._get_executor() is executor
        barrier = threading.Barrier(2)
        both = [executor.submit(barrier.wait, 10) for _ in range(2)]
        assert sorted(future.result() for future in both) == [0, 1]
        with monkeypatch.context() as patch:
            patch.setattr(_pipeline.os, "getpid", lambda: -1)  # type: ignore[attr-defined]
            assert pipeline._get_executor() is not executor
            assert pipeline._get_executor() is pipeline._get_executor()


class TestRunInOrder:
    def test_results_are_in_order(self) -> None:
        def wait(number: int) -> Callable[[], int]:
            def call() -> int:
                time.sleep(0.001 * (7 * number % 5))
                return number

            return call

        with ThreadPoolExecutor(3) as executor:
            for ahead in (1, 2, 4, 100):
                calls = [wait(number) for number in range(20)]
                assert _pipeline._run_in_order(executor, calls, ahead) == list(range(20))
            assert _pipeline._run_in_order(executor, iter([]), 2) == []

    @pytest.mark.parametrize("ahead", [1, 3])
    def test_takes_so_many_ahead(self, ahead: int) -> None:
        """Of an executor that does not start anything by itself."""
        taken = done = most = 0

        class Lazy(Executor):
            def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
                future: Future[Any] = Future()
                result = future.result

                def run(timeout: float | None = None) -> Any:
                    nonlocal done
                    if not future.done():
                        future.set_result(fn())
                        done += 1
                    return result(timeout)

                future.result = run  # type: ignore[method-assign]
                return future

        def calls() -> Iterator[Callable[[], int]]:
            nonlocal taken, most
            for number in range(10):
                taken += 1
                most = max(most, taken - done)
                yield lambda number=number: number  # type: ignore[misc]

        assert _pipeline._run_in_order(Lazy(), calls(), ahead) == list(range(10))
        assert most == ahead

    def test_calls_that_are_left_are_not_started_after_an_error(self) -> None:
        started = threading.Event()
        ran: list[int] = []

        def fail() -> None:
            started.wait(10)
            raise KeyError

        def go_on() -> None:
            ran.append(1)
            time.sleep(0.02)

        with ThreadPoolExecutor(1) as executor:
            calls: list[Callable[[], None]] = [fail, *[go_on] * 30]

            def submitted() -> Iterator[Callable[[], None]]:
                yield from calls
                started.set()

            with pytest.raises(KeyError):
                _pipeline._run_in_order(executor, submitted(), 100)
        assert len(ran) < 30


class TestGraphs:
    """Both ways to run an artifact, on batches with tiles of several lengths."""

    TOKENS = flatten([[3 + number % 200] * (1 + 5 * (number % 9)) for number in range(40)])

    def rows(self, graphs: Any, artifact: Artifact, tokens: TokenIds) -> np.ndarray:
        out = np.zeros((len(tokens.offsets) - 1, artifact.manifest.dim), np.float32)
        for rows, batch in lay_out(tokens, Layout(artifact.manifest.vocabulary_size, 100)):
            got = graphs.run(batch)
            assert got.shape == (batch.counts.size, artifact.manifest.dim)
            out[rows] = got[: len(rows)]
        return out

    def test_both_agree(self, artifact: Artifact) -> None:
        own, consumer = (choose_strategy(artifact, target_of(artifact, graph)) for graph in (None, fmt.GRAPH))
        assert isinstance(own, OptimizedGraphs)
        assert isinstance(consumer, ConsumerGraph)
        expected = self.rows(consumer, artifact, self.TOKENS)
        assert np.linalg.norm(expected, axis=1).min() > 0.01
        assert_close(self.rows(own, artifact, self.TOKENS), expected)
        layout = Layout(artifact.manifest.vocabulary_size, 100)
        for row, ids in enumerate([*self.TOKENS.lists()[:9], []]):
            batch = lay_out_one(np.array(ids, np.int64), layout)
            alone = expected[row] if ids else np.zeros(artifact.manifest.dim)
            for graphs in (own, consumer):
                got = graphs.run(batch)
                assert got.shape == (1, artifact.manifest.dim)
                assert_close(got[0], alone)

    def test_means_divide_by_the_number_of_tokens(self, tmp_path: Path) -> None:
        """Embeddings without unit length show what unit vectors hide: how many tokens were counted."""
        if PREBUILT:
            pytest.skip("needs the exporter")
        import tiny_models
        from portvec_export import export_model

        table = tiny_models.vectors(800)
        model = tiny_models.save(tmp_path / "model", vectors=table, normalize=False)
        artifact = open_artifact(export_model(model, tmp_path / "artifact"))
        assert not artifact.manifest.normalize
        tokens = flatten([list(range(3 + row, 3 + row + count)) for row, count in enumerate(range(40))])
        expected = np.array([table[ids].mean(axis=0) if ids else table[0] * 0 for ids in tokens.lists()])
        layout = Layout(artifact.manifest.vocabulary_size, 100)
        for graph in (None, fmt.GRAPH):
            graphs = choose_strategy(artifact, target_of(artifact, graph))
            assert_close(self.rows(graphs, artifact, tokens), expected)
            for ids, row in zip(tokens.lists(), expected, strict=True):
                assert_close(graphs.run(lay_out_one(np.array(ids, np.int64), layout))[0], row)

    @pytest.mark.parametrize("missing", [fmt.RUNTIME_GRAPH, fmt.SINGLE_GRAPH])
    def test_graphs_that_the_manifest_does_not_list_are_ignored(
        self, artifact: Artifact, missing: str
    ) -> None:
        del artifact.manifest.files[missing]
        assert isinstance(choose_strategy(artifact, target_of(artifact)), ConsumerGraph)

    def test_sessions_are_kept(self, artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
        graphs = OptimizedGraphs(artifact, target_of(artifact))
        layout = Layout(artifact.manifest.vocabulary_size, 100)
        ((_, batch),) = lay_out(flatten([[5, 6]]), layout)
        single = lay_out_one(np.array([5, 6]), layout)
        graphs.run(single)
        (session,) = graphs._idle
        monkeypatch.setattr(Session, "__init__", None)  # no other is loaded
        for _ in range(3):
            graphs.run(batch)
            graphs.run(single)
        assert graphs._idle == [session]

    def test_each_thread_gets_a_session(self, artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
        graphs = OptimizedGraphs(artifact, target_of(artifact))
        ((_, batch),) = lay_out(flatten([[5, 6]]), Layout(artifact.manifest.vocabulary_size, 100))
        expected = graphs.run(batch)
        barrier = threading.Barrier(3)
        run = Session.run

        def together(session: Session, feeds: Any) -> Any:
            barrier.wait(10)
            return run(session, feeds)

        monkeypatch.setattr(Session, "run", together)
        with ThreadPoolExecutor(3) as executor:
            for _ in range(2):
                for future in [executor.submit(graphs.run, batch) for _ in range(3)]:
                    np.testing.assert_array_equal(future.result(), expected)
        assert len(set(map(id, graphs._idle))) == len(graphs._idle) == 3

    def test_a_session_is_kept_after_an_error(
        self, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        graphs = OptimizedGraphs(artifact, target_of(artifact))
        ((_, batch),) = lay_out(flatten([[5, 6]]), Layout(artifact.manifest.vocabulary_size, 100))

        def fail(*_: Any) -> None:
            raise KeyError

        with monkeypatch.context() as patch:
            patch.setattr(Session, "run", fail)
            with pytest.raises(KeyError):
                graphs.run(batch)
        assert len(graphs._idle) == 1


def test_texts_without_tokens(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = load(artifact)
    tokens = flatten([[], [5, 6], []])
    out = np.full((3, pipeline.width), 7, np.float32)
    pipeline.pool(tokens, out)
    assert not out[[0, 2]].any()
    assert_close(out[1], pipeline._embed(np.array([5, 6])))
    monkeypatch.setattr(Pipeline, "_embed", None)  # needed for texts without tokens only
    pipeline.pool(flatten([[5, 6], [7]]), out[:2])
