"""The two ways to run an artifact's graphs on a batch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact
from portvec._inference.batching import Batch
from portvec._inference.graph_validation import check_graph
from portvec._inference.session import Session, Target

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
        self._load = partial(Session, tiled, target, inputs={**inputs, fmt.TILE_BOUNDS: _INT64})
        self._load_single = partial(Session, single, target, inputs=inputs)
        self._single: Session | None = None
        # Each thread that runs at the same time gets a session. onnxruntime would pass the buffers of a
        # shared one, which are in a core's cache, from core to core: a sixth slower with two threads.
        self._idle = [self._load()]

    def run(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Return float32 (tiles * texts, width), tile after tile."""
        feeds: dict[str, npt.NDArray[Any]] = {fmt.TOKEN_IDS: batch.token_ids}
        if self._needs_counts:
            feeds[fmt.TOKEN_COUNTS] = np.maximum(batch.counts, 1).reshape(-1, 1).astype(np.float32)
        if batch.bounds is None:
            if self._single is None:
                self._single = self._load_single()
            return self._single.run(feeds)
        feeds[fmt.TILE_BOUNDS] = batch.bounds
        try:
            session = self._idle.pop()
        except IndexError:
            session = self._load()
        try:
            return session.run(feeds)
        finally:
            self._idle.append(session)


class ConsumerGraph:
    """A graph as other runtimes use it, which takes one tile at a time."""

    def __init__(self, artifact: Artifact, target: Target) -> None:
        graph = target.graph or fmt.GRAPH
        checked = check_graph(artifact, graph, fmt.data_of(graph))
        self._session = Session(checked, target, inputs={fmt.INPUT_IDS: _INT64, fmt.ATTENTION_MASK: _INT64})

    def run(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Return float32 (tiles * texts, width), tile after tile."""
        bounds = [[0, len(batch.token_ids)]] if batch.bounds is None else batch.bounds.tolist()
        tiles = []
        for (start, stop), counts in zip(bounds, batch.counts, strict=True):
            mask = np.arange(stop - start) < counts[:, None]
            input_ids = np.where(mask, batch.token_ids[start:stop].T, 0).astype(np.int64)
            feeds = {fmt.INPUT_IDS: input_ids, fmt.ATTENTION_MASK: mask.astype(np.int64)}
            tiles.append(self._session.run(feeds))
        return np.concatenate(tiles)
