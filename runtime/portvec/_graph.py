"""The artifact's ONNX graph in onnxruntime: padded token ids in, embeddings out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from portvec import _format as fmt
from portvec._artifact import Artifact
from portvec._graph_check import check_graph
from portvec._manifest import Manifest
from portvec._onnxruntime import onnxruntime as ort
from portvec.errors import ArtifactError, SourceError

_SEVERITY_ERROR = 3

# The rows gathered for a block shall still be in a core's own cache when they are summed.
_BLOCK_BYTES = 1 << 20
_MAX_BLOCK_TOKENS = 1 << 13

_CONSUMER_INPUTS = {fmt.INPUT_IDS: "tensor(int64)", fmt.ATTENTION_MASK: "tensor(int64)"}
_RUNTIME_INPUTS = {fmt.TOKEN_IDS: "tensor(int32)", fmt.BLOCK_BOUNDS: "tensor(int64)"}
_RUNTIME_INPUTS_OF_MEANS = {**_RUNTIME_INPUTS, fmt.TOKEN_COUNTS: "tensor(float)"}


class Group(NamedTuple):
    """Blocks of as many texts each, for one call.

    Attributes:
        token_ids: int32 (positions, texts), block below block, a column for each text, with the graph's
            `padding_id` below its last token.
        bounds: int64 (blocks, 2), first and last position of each block.
        counts: int64 (blocks, texts), tokens of each text.
    """

    token_ids: npt.NDArray[np.int32]
    bounds: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


class Graph:
    """A loaded graph. `run` may be called from several threads at once.

    onnxruntime maps a table in external data into memory, so loading costs the same whatever its
    size, and processes share its pages.

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
        """Load the graph of that name; if None, portvec.graph, or model.onnx where there is none."""
        if name is None:
            name = fmt.RUNTIME_GRAPH if fmt.RUNTIME_GRAPH in artifact.manifest.files else fmt.GRAPH
        self._is_lean = name == fmt.RUNTIME_GRAPH
        self._path = artifact.path(name)
        check_graph(self._path, fmt.GRAPH_DATA if self._is_lean else f"{self._path.name}{fmt.DATA_SUFFIX}")
        self.padding_id = artifact.manifest.vocabulary_size
        self.block_tokens = _block_tokens(artifact.manifest)
        self._outputs = [output]
        self._inputs = _CONSUMER_INPUTS
        if self._is_lean:
            self._inputs = _RUNTIME_INPUTS if artifact.manifest.normalize else _RUNTIME_INPUTS_OF_MEANS
        options = ort.SessionOptions()
        options.log_severity_level = _SEVERITY_ERROR
        # One thread a run: blocks are small, and parallelism comes from several runs at once.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # Blocks come in many shapes, and a plan of memory would be kept for each.
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        level = ort.GraphOptimizationLevel
        options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
        try:
            self._session = ort.InferenceSession(
                str(self._path), options, providers=_checked_providers(providers)
            )
            got_inputs = {i.name: i.type for i in self._session.get_inputs()}
            got_outputs = {o.name: (o.type, o.shape[-1]) for o in self._session.get_outputs()}
        except SourceError:
            raise
        except Exception as error:  # onnxruntime's exceptions share no public base
            raise ArtifactError(
                f"{self._path}: onnxruntime cannot load this graph ({_one_line(error)})"
            ) from error
        self._check_signature(got_inputs, got_outputs, output, width)

    def run(self, group: Group) -> npt.NDArray[np.float32]:
        """Return float32 (blocks * texts, width) for the texts of a group, block after block.

        Raises:
            ArtifactError: onnxruntime fails on them, as where a token id is beyond the table.
        """
        if self._is_lean:
            feeds: dict[str, Any] = {fmt.TOKEN_IDS: group.token_ids, fmt.BLOCK_BOUNDS: group.bounds}
            if fmt.TOKEN_COUNTS in self._inputs:
                feeds[fmt.TOKEN_COUNTS] = np.maximum(group.counts, 1).reshape(-1, 1).astype(np.float32)
            return self._run(feeds)
        parts = []
        for (start, stop), counts in zip(group.bounds, group.counts, strict=True):
            mask = np.arange(stop - start) < counts[:, None]
            input_ids = np.where(mask, group.token_ids[start:stop].T, 0).astype(np.int64)
            parts.append(self._run({fmt.INPUT_IDS: input_ids, fmt.ATTENTION_MASK: mask.astype(np.int64)}))
        return np.concatenate(parts)

    def _run(self, feeds: dict[str, Any]) -> npt.NDArray[np.float32]:
        try:
            outputs: list[npt.NDArray[np.float32]] = self._session.run(self._outputs, feeds)
        except Exception as error:  # onnxruntime's exceptions share no public base
            raise ArtifactError(
                f"{self._path}: onnxruntime fails on this graph ({_one_line(error)}); "
                "run 'portvec verify' on the artifact, and export again if it fails too"
            ) from error
        return outputs[0]

    def _check_signature(
        self, got_inputs: dict[str, str], got_outputs: dict[str, Any], output: str, width: int
    ) -> None:
        if got_inputs != self._inputs or got_outputs.get(output) != ("tensor(float)", width):
            described = " and ".join(f"{name} {kind}" for name, kind in self._inputs.items())
            raise ArtifactError(
                f"{self._path}: not a portvec graph, expected inputs {described} and tensor(float) output "
                f"{output} of dimension {width}, got inputs {got_inputs} and outputs {got_outputs}"
            )


def _checked_providers(providers: Sequence[str] | None) -> list[str]:
    if providers is None:
        return ["CPUExecutionProvider"]
    available = ort.get_available_providers()
    for provider in providers:
        if provider not in available:
            raise SourceError(
                f"execution provider {provider!r} is not in this onnxruntime, which has "
                f"{', '.join(available)}; install the onnxruntime build that brings it"
            )
    return list(providers)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _block_tokens(manifest: Manifest) -> int:
    bytes_a_value = 1 if manifest.dtype == "int8" else 4  # the others are widened before the sum
    return min(max(1, _BLOCK_BYTES // (manifest.dim * bytes_a_value)), _MAX_BLOCK_TOKENS)
