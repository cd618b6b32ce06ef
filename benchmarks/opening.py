"""What it costs to open a model: time, and memory that no other process can share. Needs Linux.

    python opening.py portvec ARTIFACT | model2vec FOLDER

Prints JSON. Of portvec it reaches into private modules, to tell the session from the tokenizer.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main(library: str, folder: str) -> dict[str, float]:
    """Open a model; return seconds and private bytes of each step."""
    if library == "portvec":
        from portvec import StaticEmbedder
        from portvec._artifact import open_artifact
        from portvec._onnxruntime import onnxruntime  # noqa: F401  # imported before the clock starts

        artifact = open_artifact(Path(folder))
        steps: dict[str, Callable[[], Any]] = {
            "session": lambda: _session(artifact),
            "all": lambda: StaticEmbedder.load(folder, threads=1),
        }
    else:
        from model2vec import StaticModel

        steps = {"all": lambda: StaticModel.from_pretrained(folder, force_download=False)}
    found: dict[str, float] = {}
    kept = []
    for name, step in steps.items():
        before = _private()
        start = time.perf_counter()
        kept.append(step())
        found[f"{name}_seconds"] = time.perf_counter() - start
        found[f"{name}_private_bytes"] = _private() - before
    return found


def _session(artifact: Any) -> Any:
    from portvec import _format as fmt
    from portvec._graph import Graph

    graph = fmt.RUNTIME_GRAPH if fmt.RUNTIME_GRAPH in artifact.manifest.files else fmt.GRAPH
    data = Path(fmt.GRAPH_DATA).relative_to(Path(graph).parent).as_posix()
    return Graph(artifact.path(graph), data, output=fmt.SENTENCE_EMBEDDING, width=artifact.manifest.dim)


def _private() -> int:
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1]) * 1024
    raise ValueError("Private_Dirty")


if __name__ == "__main__":
    sys.path.pop(0)  # this folder, whose file names are no module names
    print(json.dumps(main(sys.argv[1], sys.argv[2])))
