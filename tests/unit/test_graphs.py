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
from portvec._inference.batching import Tiling, lay_out, lay_out_one
from portvec._inference.graphs import ConsumerGraph, OptimizedGraphs, choose_strategy
from portvec._inference.session import Session, Target
from portvec._vocabulary.token_ids import TokenIds, flatten
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
    assert isinstance(own, OptimizedGraphs)
    assert isinstance(consumer, ConsumerGraph)
    expected = rows_of(consumer, artifact, TOKENS)
    assert np.linalg.norm(expected, axis=1).min() > 0.01
    assert_close(rows_of(own, artifact, TOKENS), expected)
    tiling = Tiling(artifact.manifest.vocabulary_size, 100)
    for row, ids in enumerate([*TOKENS.lists()[:9], []]):
        batch = lay_out_one(np.array(ids, np.int64), tiling)
        alone = expected[row] if ids else np.zeros(artifact.manifest.dim)
        for graphs in (own, consumer):
            got = graphs.run(batch)
            assert got.shape == (1, artifact.manifest.dim)
            assert_close(got[0], alone)


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
    tiling = Tiling(artifact.manifest.vocabulary_size, 100)
    for graph in (None, fmt.GRAPH):
        graphs = choose_strategy(artifact, target_of(artifact, graph))
        assert_close(rows_of(graphs, artifact, tokens), expected)
        for ids, row in zip(tokens.lists(), expected, strict=True):
            assert_close(graphs.run(lay_out_one(np.array(ids, np.int64), tiling))[0], row)


@pytest.mark.parametrize("missing", [fmt.RUNTIME_GRAPH, fmt.SINGLE_GRAPH])
def test_graphs_that_the_manifest_does_not_list_are_ignored(artifact: Artifact, missing: str) -> None:
    del artifact.manifest.files[missing]
    assert isinstance(choose_strategy(artifact, target_of(artifact)), ConsumerGraph)


def test_sessions_are_kept(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = OptimizedGraphs(artifact, target_of(artifact))
    tiling = Tiling(artifact.manifest.vocabulary_size, 100)
    ((_, batch),) = lay_out(flatten([[5, 6]]), tiling)
    single = lay_out_one(np.array([5, 6]), tiling)
    graphs.run(single)
    kept = [*graphs._tiled._idle, *graphs._single._idle]
    assert len(kept) == 2
    monkeypatch.setattr(Session, "__init__", None)  # no other is loaded
    for _ in range(3):
        graphs.run(batch)
        graphs.run(single)
    assert [*graphs._tiled._idle, *graphs._single._idle] == kept


@pytest.mark.parametrize("sessions", ["_tiled", "_single"])
def test_each_thread_gets_a_session(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch, sessions: str
) -> None:
    graphs = OptimizedGraphs(artifact, target_of(artifact))
    tiling = Tiling(artifact.manifest.vocabulary_size, 100)
    batch = next(iter(lay_out(flatten([[5, 6]]), tiling)))[1]
    if sessions == "_single":
        batch = lay_out_one(np.array([5, 6]), tiling)
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
    idle = getattr(graphs, sessions)._idle
    assert len(set(map(id, idle))) == len(idle) == 3


def test_a_session_is_kept_after_an_error(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = OptimizedGraphs(artifact, target_of(artifact))
    ((_, batch),) = lay_out(flatten([[5, 6]]), Tiling(artifact.manifest.vocabulary_size, 100))

    def fail(*_: Any) -> None:
        raise KeyError

    with monkeypatch.context() as patch:
        patch.setattr(Session, "run", fail)
        with pytest.raises(KeyError):
            graphs.run(batch)
    assert len(graphs._tiled._idle) == 1
