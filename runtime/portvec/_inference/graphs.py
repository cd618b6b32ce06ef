"""The two ways to run an artifact's graph on a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact
from portvec._artifact.layers import check_layer_tensors
from portvec._inference.batching import Batch, lay_out_one
from portvec._inference.graph_validation import check_graph
from portvec._inference.pooling import Pooling
from portvec._inference.sessions import Sessions
from portvec._inference.table import Table, open_table
from portvec._inference.target import CPU, Target
from portvec._vocabulary.token_ids import Ids
from portvec.errors import ArtifactError

if TYPE_CHECKING:
    import numpy.typing as npt

    from portvec._inference.session import Session

    Feeds = dict[str, npt.NDArray[Any]]

_INT64 = "tensor(int64)"


def choose_strategy(artifact: Artifact, target: Target) -> GraphStrategy:
    """Check the graph that computes `target`, and load it unless that can wait.

    Raises:
        OptionError: onnxruntime does not have a provider.
        ArtifactError: the graph cannot be loaded, or has other inputs or outputs.
    """
    # Ignore a file that the manifest does not list: its hash was never checked.
    if target.graph is None and fmt.RUNTIME_GRAPH in artifact.manifest.files:
        return OptimizedGraph(artifact, target)
    return ConsumerGraph(artifact, target)


class GraphStrategy(ABC):
    """Computes the output for batches and for single texts. Threads may share one.

    A single text is pooled without onnxruntime where the output is a mean, computed on the CPU, and no
    particular graph is asked for. So onnxruntime, which takes long to import, waits for the first batch.
    """

    def __init__(self, artifact: Artifact, target: Target, name: str, inputs: Mapping[str, str]) -> None:
        """Check the graph `name`, whose inputs must be these (names and onnxruntime's types)."""
        graph = check_graph(artifact, name, fmt.data_of(target.graph or fmt.GRAPH))
        graph.ports.check(inputs, target, graph.where)
        shapes = {name: tensor.shape for name, tensor in graph.tensors.items()}
        check_layer_tensors(artifact.manifest, shapes, graph.where)
        self._padding_id = artifact.manifest.vocabulary_size
        self._where = graph.where
        self._table = open_table(graph, artifact.manifest)
        self._pooling: Pooling | None = None
        is_mean = target.output == fmt.SENTENCE_EMBEDDING and not artifact.manifest.layers
        if is_mean and target.graph is None and _is_on_cpu(target) and self._table is not None:
            self._pooling = Pooling(self._table, normalize=artifact.manifest.normalize)

        def load() -> Session:
            from portvec._inference.session import Session  # imports onnxruntime, which is slow

            return Session(graph, target, inputs=inputs)

        self._sessions = Sessions(load)
        # Without the other way, find out now whether the graph works.
        if self._pooling is None or target.providers is not None:
            self._sessions.load()

    def run(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Return float32 (tiles * texts, width), tile after tile.

        Raises:
            ArtifactError: the graph cannot be loaded, or onnxruntime fails, for example because a token id is
                beyond the table.
        """
        session = self._sessions.take(wait=self._pooling is None)
        if session is None:
            assert self._pooling is not None
            return self._pooling.embed_batch(batch)
        try:
            return self._run(session, batch)
        finally:
            self._sessions.give_back(session)

    def run_one(self, ids: Ids) -> npt.NDArray[np.float32]:
        """Return the row, float32 (width,), of a text with the token ids (n,).

        Raises:
            ArtifactError: as `run` does.
        """
        if self._pooling is not None:
            return self._pooling.embed(ids)
        row: npt.NDArray[np.float32] = self.run(lay_out_one(ids, self._padding_id))[0]
        return row

    def require_table(self) -> Table:
        """Return the vectors of the token ids.

        Raises:
            ArtifactError: the graph's tensors are not what the format says.
        """
        if self._table is None:
            raise ArtifactError(
                f"{self._where}: its tensors are not the table that the format describes, so the vectors of "
                "tokens cannot be read; export the model again"
            )
        return self._table

    @abstractmethod
    def _run(self, session: Session, batch: Batch) -> npt.NDArray[np.float32]:
        """Return what `run` does, from a session that no other thread runs now."""


class OptimizedGraph(GraphStrategy):
    """The runtime's own graph, for all tiles of a batch in one call."""

    def __init__(self, artifact: Artifact, target: Target) -> None:
        inputs = {fmt.TOKEN_IDS: "tensor(int32)", fmt.TILE_BOUNDS: _INT64}
        # Unit vectors are the same for sum and mean, so only other models need the number of tokens.
        self._needs_counts = not artifact.manifest.normalize
        if self._needs_counts:
            inputs[fmt.TOKEN_COUNTS] = "tensor(float)"
        super().__init__(artifact, target, fmt.RUNTIME_GRAPH, inputs)

    def _run(self, session: Session, batch: Batch) -> npt.NDArray[np.float32]:
        feeds: Feeds = {fmt.TOKEN_IDS: batch.token_ids, fmt.TILE_BOUNDS: batch.bounds}
        if self._needs_counts:
            feeds[fmt.TOKEN_COUNTS] = np.maximum(batch.counts, 1).reshape(-1, 1).astype(np.float32)
        return session.run(feeds)


class ConsumerGraph(GraphStrategy):
    """A graph as other runtimes use it, which takes one tile at a time."""

    def __init__(self, artifact: Artifact, target: Target) -> None:
        inputs = {fmt.INPUT_IDS: _INT64, fmt.ATTENTION_MASK: _INT64}
        super().__init__(artifact, target, target.graph or fmt.GRAPH, inputs)

    def _run(self, session: Session, batch: Batch) -> npt.NDArray[np.float32]:
        tiles = []
        for (start, stop), counts in zip(batch.bounds.tolist(), batch.counts, strict=True):
            mask = np.arange(stop - start) < counts[:, None]
            input_ids = np.where(mask, batch.token_ids[start:stop].T, 0).astype(np.int64)
            feeds = {fmt.INPUT_IDS: input_ids, fmt.ATTENTION_MASK: mask.astype(np.int64)}
            tiles.append(session.run(feeds))
        return np.concatenate(tiles)


def _is_on_cpu(target: Target) -> bool:
    return target.providers is None or list(target.providers) == [CPU]
