"""A graph of the artifact in onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from portvec._inference.graph_validation import CheckedGraph
from portvec._inference.onnxruntime import onnxruntime as ort
from portvec._inference.target import CPU, Ports, Target
from portvec._messages import fold_lines
from portvec.errors import ArtifactError, OptionError

if TYPE_CHECKING:
    import numpy.typing as npt

_SEVERITY_ERROR = 3


class _Loaded:
    """A graph in onnxruntime."""

    def __init__(self, graph: CheckedGraph, *, optimize: bool, providers: list[str]) -> None:
        self._where = graph.where
        try:
            # onnxruntime does not keep what it shares alive.
            self._tables = {
                name: ort.OrtValue.ortvalue_from_numpy(table) for name, table in graph.tables.items()
            }
            self._session = _load(graph, self._tables, _options(optimize), providers)
            self._ports = Ports(
                {each.name: each.type for each in self._session.get_inputs()},
                {each.name: (each.type, each.shape[-1]) for each in self._session.get_outputs()},
            )
        except Exception as error:  # onnxruntime's exceptions share no public base
            raise ArtifactError(
                f"{graph.where}: onnxruntime cannot load this graph ({fold_lines(error)})"
            ) from error

    def _run(self, outputs: Sequence[str], feeds: dict[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        try:
            found: list[npt.NDArray[Any]] = self._session.run(outputs, feeds)
        except Exception as error:  # onnxruntime's exceptions share no public base
            raise ArtifactError(
                f"{self._where}: onnxruntime fails on this graph ({fold_lines(error)}); "
                "run 'portvec verify' on the artifact, and export again if that fails too"
            ) from error
        return found


class TextSession(_Loaded):
    """A loaded graph with text input. One thread at a time may call `run`."""

    def __init__(self, graph: CheckedGraph, *, optimize: bool = True) -> None:
        """Load a graph.

        Raises:
            ArtifactError: it cannot be loaded.
        """
        super().__init__(graph, optimize=optimize, providers=[CPU])

    def run(self, feeds: dict[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """Return the outputs of the checked graph.

        Raises:
            ArtifactError: onnxruntime fails.
        """
        return self._run(list(self._ports.outputs), feeds)


class Session(_Loaded):
    """A loaded graph. Threads may call `run` at the same time.

    All sessions on the CPU use the same tables, which are mapped into memory. So loading takes the same time
    whatever their size, and processes share their pages.
    """

    def __init__(self, graph: CheckedGraph, target: Target, *, inputs: Mapping[str, str]) -> None:
        """Load a graph.

        It must have these `inputs` (names and onnxruntime's types), and the target's output, float32 (n,
        width).

        Raises:
            OptionError: onnxruntime does not have a provider of the target.
            ArtifactError: the graph cannot be loaded, or has other inputs or outputs.
        """
        super().__init__(graph, optimize=target.optimize, providers=_check_providers(target.providers))
        self._outputs = [target.output]
        # onnxruntime may find other shapes than the graph declares.
        self._ports.check(inputs, target, graph.where)

    def run(self, feeds: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
        """Return the output.

        Raises:
            ArtifactError: onnxruntime fails, for example because a token id is beyond the table.
        """
        return self._run(self._outputs, feeds)[0]


def _load(
    graph: CheckedGraph, tables: Mapping[str, ort.OrtValue], options: ort.SessionOptions, providers: list[str]
) -> ort.InferenceSession:
    """Return a session.

    The CPU computes with the memory of `tables`. Other devices need copies in their own.
    `add_external_initializers` copies, and `add_initializer` does not.
    """
    shared = providers == [CPU]
    if shared:
        for name, table in tables.items():
            options.add_initializer(name, table)
    elif tables:
        options.add_external_initializers(list(tables), list(tables.values()))
    return ort.InferenceSession(graph.to_bytes(shared=shared), options, providers=providers)


def _options(optimize: bool) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = _SEVERITY_ERROR
    # One thread a run: tiles are small, and parallelism comes from several runs at once.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Batches come in many shapes, and onnxruntime would keep a memory plan for each.
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
    return options


def _check_providers(providers: Sequence[str] | None) -> list[str]:
    if providers is None:
        return [CPU]
    available = ort.get_available_providers()
    for provider in providers:
        if provider not in available:
            raise OptionError(
                f"providers: {provider!r} is not in this onnxruntime, which has {', '.join(available)}; "
                "install an onnxruntime build that has it"
            )
    return list(providers)
