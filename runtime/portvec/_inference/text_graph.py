"""Running a graph with text input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact
from portvec._inference.sessions import Sessions
from portvec._inference.text_validation import check_text_graph
from portvec._vocabulary.token_ids import TokenIds, offsets_of
from portvec.errors import ArtifactError

if TYPE_CHECKING:
    import numpy.typing as npt

    from portvec._inference.session import TextSession


class TextGraph:
    """Some outputs of one of an artifact's graphs with text input. Threads may share it."""

    def __init__(
        self, artifact: Artifact, kind: str, outputs: Sequence[str], *, optimize: bool = True
    ) -> None:
        """Check the graph of this `kind` and load it, without what other outputs need.

        Raises:
            ArtifactError: there is no such graph, its hash is another than the manifest's, it holds something
                that no such graph has, or it cannot be loaded.
        """
        graph = check_text_graph(artifact, kind, outputs)
        self.where = graph.where
        self._kind = kind

        def load() -> TextSession:
            from portvec._inference.session import TextSession  # imports onnxruntime, which is slow

            return TextSession(graph, optimize=optimize)

        self._sessions = Sessions(load)
        self._sessions.load()

    def run(self, texts: Sequence[str]) -> list[npt.NDArray[Any]]:
        """Return the outputs for one text or more, in the order in which they were asked for.

        Raises:
            UnicodeEncodeError: a text has a lone surrogate.
            ArtifactError: onnxruntime fails.
        """
        feed = lay_out_strings(texts) if self._kind == fmt.STRINGS else lay_out_code_points(texts)
        session = self._sessions.take(wait=True)
        assert session is not None
        try:
            return session.run({fmt.TEXT_INPUTS[self._kind]: feed})
        finally:
            self._sessions.give_back(session)

    def read_ids(self, ids: npt.NDArray[Any], texts: int) -> TokenIds:
        """Return the token ids in an output (texts, length), which pads them at the end.

        Raises:
            ArtifactError: it has another type or shape, or padding before an id.
        """
        if ids.dtype == np.int64 and ids.ndim == 2 and len(ids) == texts:
            is_id = ids != fmt.TEXT_PADDING
            counts = np.count_nonzero(is_id, axis=1)
            if np.array_equal(is_id, np.arange(ids.shape[1]) < counts[:, np.newaxis]):
                return TokenIds(ids[is_id], offsets_of(counts))
        raise ArtifactError(
            f"{self.where}: gives ids for {texts} texts as {ids.dtype} {list(ids.shape)}, expected int64 "
            f"[{texts}, length] with padding at the end; export again"
        )


def lay_out_strings(texts: Sequence[str]) -> npt.NDArray[Any]:
    """Return texts (n,) as onnxruntime takes strings. Of numpy's own, it drops what is after a U+0000."""
    array = np.empty(len(texts), dtype=np.object_)
    array[:] = texts
    # onnxruntime would raise the same, as an exception of its own.
    "".join(texts).encode()
    return array


def lay_out_code_points(texts: Sequence[str]) -> npt.NDArray[np.int32]:
    """Return the code points of texts, int32 (n, length), padded."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    found = np.frombuffer("".join(texts).encode("utf-32-le"), dtype="<i4")
    points = np.full((len(texts), int(lengths.max())), fmt.TEXT_PADDING, dtype=np.int32)
    points[np.arange(points.shape[1]) < lengths[:, np.newaxis]] = found
    return points
