"""The artifact's graphs as one function: padded token ids in, embeddings out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact
from portvec._artifact.manifest import Manifest
from portvec._inference.session import Session

if TYPE_CHECKING:
    import numpy.typing as npt

# The rows gathered for a block shall still be in a core's own cache when they are summed.
_BLOCK_BYTES = 1 << 20
_MAX_BLOCK_TOKENS = 1 << 13

# onnxruntime sums over the first axis with its fast kernel only where that is longer than 16.
MIN_LENGTH = 17


class Group(NamedTuple):
    """Blocks of as many texts each, for one call.

    Attributes:
        token_ids: int32 (positions, texts), block below block, a column for each text, with the graph's
            `padding_id` below its last token.
        bounds: int64 (blocks, 2), first position of each block, and the one after its last.
        counts: int64 (blocks, texts), tokens of each text.
    """

    token_ids: npt.NDArray[np.int32]
    bounds: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


class Graph:
    """What an artifact computes. May be used from several threads at once.

    Attributes:
        padding_id: id past the vocabulary, with which columns of token ids are padded.
        block_tokens: tokens of a block that make best use of a processor's cache.
    """

    def __init__(
        self,
        artifact: Artifact,
        name: str | None,
        *,
        output: str,
        width: int,
        providers: Sequence[str] | None = None,
        optimize: bool = True,
    ) -> None:
        """Use the graph of that name; if None, portvec's own, or model.onnx where there are none.

        Raises:
            ArtifactError: it cannot be loaded, or has other inputs or outputs.
        """
        self.padding_id = artifact.manifest.vocabulary_size
        self.block_tokens = _block_tokens(artifact.manifest)
        self._artifact = artifact
        self._options: dict[str, Any] = {
            "output": output,
            "width": width,
            "providers": providers,
            "optimize": optimize,
        }
        # Both listed, so that their hashes were checked: a file that is merely there is nobody's.
        listed = artifact.manifest.files.keys()
        self._is_lean = name is None and {fmt.RUNTIME_GRAPH, fmt.SINGLE_GRAPH} <= listed
        self._needs_counts = not artifact.manifest.normalize
        self._session_of_one: Session | None = None
        self._path = artifact.path(fmt.RUNTIME_GRAPH if self._is_lean else name or fmt.GRAPH)
        # One for each thread that runs at the same time: onnxruntime would hand the buffers of one session,
        # which are in a core's cache, from core to core (13% of the time with two threads).
        self._idle = [self._new_session()]

    def _new_session(self) -> Session:
        if self._is_lean:
            return self._own(fmt.RUNTIME_GRAPH, {fmt.BLOCK_BOUNDS: "tensor(int64)"})
        inputs = {fmt.INPUT_IDS: "tensor(int64)", fmt.ATTENTION_MASK: "tensor(int64)"}
        return Session(self._path, f"{self._path.name}{fmt.DATA_SUFFIX}", inputs, **self._options)

    def run(self, group: Group) -> npt.NDArray[np.float32]:
        """Return float32 (blocks * texts, width) for the texts of a group, block after block.

        Raises:
            ArtifactError: onnxruntime fails on them, as where a token id is beyond the table.
        """
        if not self._is_lean:
            return self._run_blocks(group)
        feeds: dict[str, npt.NDArray[Any]] = {
            fmt.TOKEN_IDS: group.token_ids,
            fmt.BLOCK_BOUNDS: group.bounds,
        }
        if self._needs_counts:
            feeds[fmt.TOKEN_COUNTS] = np.maximum(group.counts, 1).reshape(-1, 1).astype(np.float32)
        try:
            session = self._idle.pop()
        except IndexError:
            session = self._new_session()
        try:
            return session.run(feeds)
        finally:
            self._idle.append(session)

    def _run_blocks(self, group: Group) -> npt.NDArray[np.float32]:
        """Run a graph that takes a batch at a time. One session: its table may be in its memory."""
        session = self._idle[0]
        parts = []
        for (start, stop), counts in zip(group.bounds, group.counts, strict=True):
            mask = np.arange(stop - start) < counts[:, None]
            input_ids = np.where(mask, group.token_ids[start:stop].T, 0).astype(np.int64)
            parts.append(session.run({fmt.INPUT_IDS: input_ids, fmt.ATTENTION_MASK: mask.astype(np.int64)}))
        return np.concatenate(parts)

    def run_one(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return float32 (1, width) for the token ids (n,) of one text.

        Raises:
            ArtifactError: see `run`.
        """
        count = len(ids)
        column = np.empty((max(count, MIN_LENGTH), 1), dtype=np.int32)
        column[:count, 0] = ids
        column[count:] = self.padding_id
        if not self._is_lean:
            return self.run(Group(column, np.array([[0, len(column)]]), np.array([[count]])))
        if self._session_of_one is None:
            self._session_of_one = self._own(fmt.SINGLE_GRAPH, {})
        feeds: dict[str, npt.NDArray[Any]] = {fmt.TOKEN_IDS: column}
        if self._needs_counts:
            feeds[fmt.TOKEN_COUNTS] = np.array([[max(count, 1)]], dtype=np.float32)
        return self._session_of_one.run(feeds)

    def _own(self, name: str, further: dict[str, str]) -> Session:
        inputs = {fmt.TOKEN_IDS: "tensor(int32)", **further}
        if self._needs_counts:
            inputs[fmt.TOKEN_COUNTS] = "tensor(float)"
        return Session(self._artifact.path(name), fmt.GRAPH_DATA, inputs, **self._options)


def _block_tokens(manifest: Manifest) -> int:
    bytes_a_value = 1 if manifest.dtype == "int8" else 4  # others take 4 on the way to the sum
    return min(max(1, _BLOCK_BYTES // (manifest.dim * bytes_a_value)), _MAX_BLOCK_TOKENS)
