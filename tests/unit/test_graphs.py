"""Both ways to run an artifact's graphs, on batches with tiles of several lengths."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact, open_artifact
from portvec._inference.batching import Batch, Tiling, lay_out, lay_out_one
from portvec._inference.graph_validation import CheckedGraph
from portvec._inference.graphs import ConsumerGraph, GraphStrategy, OptimizedGraph, choose_strategy
from portvec._inference.session import Session
from portvec._inference.target import Target
from portvec._vocabulary.locks import begin_loading, end_loading
from portvec._vocabulary.token_ids import TokenIds, flatten
from portvec.errors import ArtifactError
from project import PREBUILT
from rounding import assert_close


@pytest.fixture
def artifact(tiny: Path) -> Artifact:
    return open_artifact(tiny)


def target_of(artifact: Artifact, graph: str | None = None) -> Target:
    return Target(fmt.SENTENCE_EMBEDDING, artifact.manifest.dim, graph=graph)


TOKENS = flatten([[3 + number % 200] * (1 + 5 * (number % 9)) for number in range(40)])


def rows_of(graphs: Any, artifact: Artifact, tokens: TokenIds) -> np.ndarray:
    out = np.zeros((len(tokens.offsets) - 1, artifact.manifest.dim), np.float32)
    for rows, batch in lay_out(tokens, Tiling(artifact.manifest.vocabulary_size, 100)):
        got = graphs.run(batch)
        assert got.shape == (batch.counts.size, artifact.manifest.dim)
        out[rows] = got[: len(rows)]
    return out


def test_both_agree(artifact: Artifact) -> None:
    own, consumer = (choose_strategy(artifact, target_of(artifact, graph)) for graph in (None, fmt.GRAPH))
    assert isinstance(own, OptimizedGraph)
    assert isinstance(consumer, ConsumerGraph)
    expected = rows_of(consumer, artifact, TOKENS)
    assert np.linalg.norm(expected, axis=1).min() > 0.01
    assert_close(rows_of(own, artifact, TOKENS), expected)
    for row, ids in enumerate([*TOKENS.lists()[:9], []]):
        batch = lay_out_one(np.array(ids, np.int64), artifact.manifest.vocabulary_size)
        alone = expected[row] if ids else np.zeros(artifact.manifest.dim)
        for graphs in (own, consumer):
            got = graphs.run(batch)
            assert got.shape == (1, artifact.manifest.dim)
            assert_close(got[0], alone)
            assert_close(graphs.run_one(np.array(ids, np.int64)), alone)


def test_means_divide_by_the_number_of_tokens(tmp_path: Path) -> None:
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
    for graph in (None, fmt.GRAPH):
        graphs = choose_strategy(artifact, target_of(artifact, graph))
        assert_close(rows_of(graphs, artifact, tokens), expected)
        for each, row in zip(tokens.lists(), expected, strict=True):
            ids = np.array(each, np.int64)
            assert_close(graphs.run(lay_out_one(ids, artifact.manifest.vocabulary_size))[0], row)
            assert_close(graphs.run_one(ids), row)


def test_a_graph_that_the_manifest_does_not_list_is_ignored(artifact: Artifact) -> None:
    del artifact.manifest.files[fmt.RUNTIME_GRAPH]
    assert isinstance(choose_strategy(artifact, target_of(artifact)), ConsumerGraph)


@pytest.fixture(params=[None, fmt.GRAPH], ids=["own", "consumer"])
def graphs(request: pytest.FixtureRequest, artifact: Artifact) -> GraphStrategy:
    return choose_strategy(artifact, target_of(artifact, request.param))


@pytest.fixture
def batch(artifact: Artifact) -> Batch:
    ((_, batch),) = lay_out(flatten([[5, 6], [7]]), Tiling(artifact.manifest.vocabulary_size, 100))
    return batch


def fail(*_: Any, **__: Any) -> None:
    raise KeyError


def test_sessions_are_kept(graphs: GraphStrategy, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs.run(batch)
    kept = list(graphs._sessions._idle)
    assert len(kept) == 1
    monkeypatch.setattr(Session, "__init__", fail)  # no other is loaded
    for _ in range(3):
        graphs.run(batch)
    assert graphs._sessions._idle == kept


def test_each_thread_gets_a_session(
    graphs: GraphStrategy, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    idle = graphs._sessions._idle
    assert len(set(map(id, idle))) == len(idle) == 3


def test_a_session_is_kept_after_an_error(
    graphs: GraphStrategy, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "run", fail)
    with pytest.raises(KeyError):
        graphs.run(batch)
    assert len(graphs._sessions._idle) == 1


def test_sessions_wait_for_the_first_batch(
    artifact: Artifact, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless something else than the embedding on the CPU is asked for."""
    with monkeypatch.context() as patch:
        patch.setattr(Session, "__init__", fail)
        graphs = choose_strategy(artifact, target_of(artifact))
        assert np.linalg.norm(graphs.run_one(np.array([5, 6]))) == pytest.approx(1)
        assert graphs._sessions._idle == []
        for changes in ({"graph": fmt.GRAPH}, {"providers": ["CPUExecutionProvider"]}):
            with pytest.raises(KeyError):
                choose_strategy(artifact, target_of(artifact)._replace(**changes))
    graphs.run(batch)
    assert len(graphs._sessions._idle) == 1


def test_what_only_onnxruntime_finds_is_found_with_the_first_batch(
    artifact: Artifact, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = choose_strategy(artifact, target_of(artifact))
    monkeypatch.setattr(CheckedGraph, "to_bytes", lambda *_, **__: b"no graph")
    for _ in range(2):
        with pytest.raises(ArtifactError, match=r"portvec\.graph: onnxruntime cannot load this graph \("):
            graphs.run(batch)
    assert np.linalg.norm(graphs.run_one(np.array([5, 6]))) == pytest.approx(1)


def test_batches_are_pooled_where_loading_must_not_be_waited_for(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a signal handler that has interrupted the import of onnxruntime."""
    expected = rows_of(choose_strategy(artifact, target_of(artifact)), artifact, TOKENS)
    graphs = choose_strategy(artifact, target_of(artifact))
    assert begin_loading()
    try:
        assert_close(rows_of(graphs, artifact, TOKENS), expected)
        assert graphs._sessions._idle == []
        # A consumer's graph has no such way, so its session is loaded all the same.
        consumer = choose_strategy(artifact, target_of(artifact, fmt.GRAPH))
        assert_close(rows_of(consumer, artifact, TOKENS), expected)
    finally:
        end_loading()


def test_threads_that_need_the_first_session_at_once(artifact: Artifact, batch: Batch) -> None:
    expected = choose_strategy(artifact, target_of(artifact)).run(batch)
    for _ in range(5):
        graphs = choose_strategy(artifact, target_of(artifact))
        barrier = threading.Barrier(4)

        def run(graphs: GraphStrategy = graphs, barrier: threading.Barrier = barrier) -> np.ndarray:
            barrier.wait(10)
            return graphs.run(batch)

        with ThreadPoolExecutor(4) as executor:
            for future in [executor.submit(run) for _ in range(4)]:
                np.testing.assert_array_equal(future.result(), expected)
