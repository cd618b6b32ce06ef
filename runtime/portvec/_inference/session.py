"""A graph of the artifact in onnxruntime: loaded, its signature checked, run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from portvec._inference.graph_validation import check_graph
from portvec._inference.onnxruntime import onnxruntime as ort
from portvec.errors import ArtifactError, SourceError

if TYPE_CHECKING:
    import numpy.typing as npt

_SEVERITY_ERROR = 3


class Session:
    """A loaded graph. `run` may be called from several threads at once.

    onnxruntime maps a table in external data into memory, so loading costs the same whatever its
    size, and processes share its pages.
    """

    def __init__(
        self,
        path: Path,
        data: str,
        inputs: Mapping[str, str],
        *,
        output: str,
        width: int,
        providers: Sequence[str] | None = None,
        optimize: bool = True,
    ) -> None:
        """Load a graph that has these inputs (names and onnxruntime's types) and a float32 output (n, width).

        `data` is the path, relative to the graph's folder, of the one file that may hold external data.
        """
        check_graph(path, data)
        self._path = path
        self._outputs = [output]
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
        chosen = _checked_providers(providers)
        try:
            self._session = ort.InferenceSession(str(path), options, providers=chosen)
            got_inputs = {i.name: i.type for i in self._session.get_inputs()}
            got_outputs = {o.name: (o.type, o.shape[-1]) for o in self._session.get_outputs()}
        except Exception as error:  # onnxruntime's exceptions share no public base
            raise ArtifactError(f"{path}: onnxruntime cannot load this graph ({_one_line(error)})") from error
        if got_inputs != inputs or got_outputs.get(output) != ("tensor(float)", width):
            described = " and ".join(f"{name} {kind}" for name, kind in inputs.items())
            raise ArtifactError(
                f"{path}: not a portvec graph, expected inputs {described} and tensor(float) output "
                f"{output} of dimension {width}, got inputs {got_inputs} and outputs {got_outputs}"
            )

    def run(self, feeds: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
        """Return the output.

        Raises:
            ArtifactError: onnxruntime fails, as where a token id is beyond the table.
        """
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
