"""The two ways to run an artifact's graphs on a batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact
from portvec._inference.batching import Batch
from portvec._inference.graph_validation import check_graph
from portvec._inference.session import Session, Target
from portvec._tokenization.forks import Shared

if TYPE_CHECKING:
    import numpy.typing as npt

_INT64 = "tensor(int64)"


class GraphStrategy(Protocol):
    """Computes the output for batches. Threads may share one."""

    def run(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Return float32 (tiles * texts, width), tile after tile.

        Raises:
            ArtifactError: onnxruntime fails, for example because a token id is beyond the table.
        """


def choose_strategy(artifact: Artifact, target: Target) -> GraphStrategy:
    """Load the graphs that compute `target`.

    Raises:
        OptionError: onnxruntime does not have a provider.
        ArtifactError: a graph cannot be loaded, or has other inputs or outputs.
    """
    # Ignore files that the manifest does not list: their hashes were never checked.
    has_own = {fmt.RUNTIME_GRAPH, fmt.SINGLE_GRAPH} <= artifact.manifest.files.keys()
    if target.graph is None and has_own:
        return OptimizedGraphs(artifact, target)
    return ConsumerGraph(artifact, target)


class OptimizedGraphs:
    """The runtime's own graphs: one for all tiles of a batch in one call, and one for a single text."""

    def __init__(self, artifact: Artifact, target: Target) -> None:
        inputs = {fmt.TOKEN_IDS: "tensor(int32)"}
        # Unit vectors are the same for sum and mean, so only other models need the number of tokens.
        self._needs_counts = not artifact.manifest.normalize
        if self._needs_counts:
            inputs[fmt.TOKEN_COUNTS] = "tensor(float)"
        tiled, single = (
            check_graph(artifact, name, fmt.data_of(fmt.GRAPH))
            for name in (fmt.RUNTIME_GRAPH, fmt.SINGLE_GRAPH)
        )
        tiled_inputs = {**inputs, fmt.TILE_BOUNDS: _INT64}
        self._tiled = _Sessions(partial(Session, tiled, target, inputs=tiled_inputs))
        self._single = _Sessions(partial(Session, single, target, inputs=inputs))
        self._tiled.load()  # finds out whether the artifact works; the other one can wait

    def run(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Return float32 (tiles * texts, width), tile after tile."""
        feeds: dict[str, npt.NDArray[Any]] = {fmt.TOKEN_IDS: batch.token_ids}
        if self._needs_counts:
            feeds[fmt.TOKEN_COUNTS] = np.maximum(batch.counts, 1).reshape(-1, 1).astype(np.float32)
        if batch.bounds is None:
            return self._single.run(feeds)
        feeds[fmt.TILE_BOUNDS] = batch.bounds
        return self._tiled.run(feeds)


class _Sessions:
    """Sessions of a graph, one for each thread that runs it at the same time.

    onnxruntime would pass the buffers of a shared one, which are in a core's cache, from core to core: a
    sixth slower with two threads. And after a fork, a session that another thread was running would hang: its
    locks stay locked.
    """

    def __init__(self, make: Callable[[], Session]) -> None:
        self._make = make
        self._idle: list[Session] = []

    def load(self) -> None:
        """Load a session, for the first run."""
        self._idle.append(self._make())

    def run(self, feeds: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
        """Return the output of a session that no other thread runs now."""
        try:
            session = self._idle.pop()
        except IndexError:
            session = self._make()
        try:
            return session.run(feeds)
        finally:
            self._idle.append(session)


class ConsumerGraph:
    """A graph as other runtimes use it, which takes one tile at a time."""

    def __init__(self, artifact: Artifact, target: Target) -> None:
        graph = target.graph or fmt.GRAPH
        checked = check_graph(artifact, graph, fmt.data_of(graph))
        inputs = {fmt.INPUT_IDS: _INT64, fmt.ATTENTION_MASK: _INT64}
        # Threads share one session, because the table may be in its memory.
        self._run = Shared(lambda: Session(checked, target, inputs=inputs).run)

    def run(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Return float32 (tiles * texts, width), tile after tile."""
        bounds = [[0, len(batch.token_ids)]] if batch.bounds is None else batch.bounds.tolist()
        tiles = []
        for (start, stop), counts in zip(bounds, batch.counts, strict=True):
            mask = np.arange(stop - start) < counts[:, None]
            input_ids = np.where(mask, batch.token_ids[start:stop].T, 0).astype(np.int64)
            feeds = {fmt.INPUT_IDS: input_ids, fmt.ATTENTION_MASK: mask.astype(np.int64)}
            tiles.append(self._run(feeds))
        return np.concatenate(tiles)
