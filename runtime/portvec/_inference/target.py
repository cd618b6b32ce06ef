"""What an artifact's graph is asked to compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from portvec.errors import ArtifactError

CPU = "CPUExecutionProvider"


class Target(NamedTuple):
    """What to compute, and how.

    Attributes:
        output: name of the graph's output.
        width: number of its columns.
        graph: path of one of the artifact's graphs for consumers; None for the graph of the runtime, or
            onnx/model.onnx if the artifact has none.
        providers: onnxruntime execution providers; the CPU if None.
        optimize: whether onnxruntime optimizes the graph.
    """

    output: str
    width: int
    graph: str | None = None
    providers: Sequence[str] | None = None
    optimize: bool = True


class Ports(NamedTuple):
    """The inputs and outputs of a graph, in onnxruntime's terms.

    Attributes:
        inputs: type of each input, by name.
        outputs: type of each output and the number of its columns, if that is known, by name.
    """

    inputs: Mapping[str, str]
    outputs: Mapping[str, tuple[str, Any]]

    def check(self, inputs: Mapping[str, str], target: Target, where: str) -> None:
        """Check that a graph has these inputs, and the target's output, float32 (n, width).

        Raises:
            ArtifactError: it has others. The message names the graph by `where`.
        """
        if self.inputs == inputs and self.outputs.get(target.output) == ("tensor(float)", target.width):
            return
        described = " and ".join(f"{name} {kind}" for name, kind in inputs.items())
        raise ArtifactError(
            f"{where}: not a portvec graph, expected inputs {described} and tensor(float) output "
            f"{target.output} of dimension {target.width}, got inputs {self.inputs} and outputs "
            f"{self.outputs}"
        )
