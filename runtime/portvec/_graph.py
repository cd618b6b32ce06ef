"""The artifact's ONNX graph in onnxruntime: padded token ids in, embeddings out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from portvec import _format as fmt
from portvec._graph_check import check_graph
from portvec._onnxruntime import onnxruntime as ort
from portvec.errors import ArtifactError, SourceError

_SEVERITY_ERROR = 3


class Graph:
    """A loaded graph. `run` may be called from several threads at once.

    onnxruntime maps a table in external data into memory, so loading costs the same whatever its
    size, and processes share its pages.
    """

    def __init__(
        self,
        path: Path,
        data: str,
        *,
        output: str,
        width: int,
        providers: Sequence[str] | None = None,
        optimize: bool = True,
    ) -> None:
        check_graph(path, data)
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
            self._session = ort.InferenceSession(str(path), options, providers=_checked_providers(providers))
        except SourceError:
            raise
        except Exception as error:  # onnxruntime's exceptions share no public base
            raise ArtifactError(f"{path}: onnxruntime cannot load this graph ({_one_line(error)})") from error
        _check_signature(self._session, path, output, width)
        self._path = path
        self._outputs = [output]

    def run(
        self, input_ids: npt.NDArray[np.int64], attention_mask: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """Return float32 (batch, width) for int64 (batch, length) token ids and attention mask.

        Raises:
            ArtifactError: onnxruntime fails on them, as where a token id is beyond the table.
        """
        feeds = {fmt.INPUT_IDS: input_ids, fmt.ATTENTION_MASK: attention_mask}
        try:
            outputs: list[npt.NDArray[np.float32]] = self._session.run(self._outputs, feeds)
        except Exception as error:  # onnxruntime's exceptions share no public base
            raise ArtifactError(
                f"{self._path}: onnxruntime fails on this graph ({_one_line(error)}); "
                "run 'portvec verify' on the artifact, and export again if it fails too"
            ) from error
        return outputs[0]


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


def _check_signature(session: ort.InferenceSession, path: Path, output: str, width: int) -> None:
    got_inputs = {i.name: i.type for i in session.get_inputs()}
    expected_inputs = {fmt.INPUT_IDS: "tensor(int64)", fmt.ATTENTION_MASK: "tensor(int64)"}
    got_outputs = {o.name: (o.type, o.shape[-1]) for o in session.get_outputs()}
    expected_output = ("tensor(float)", width)
    if got_inputs != expected_inputs or got_outputs.get(output) != expected_output:
        raise ArtifactError(
            f"{path}: not a portvec graph, expected int64 inputs {fmt.INPUT_IDS} and {fmt.ATTENTION_MASK} "
            f"and float32 output {output} of dimension {width}, "
            f"got inputs {got_inputs} and outputs {got_outputs}"
        )
