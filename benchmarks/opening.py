"""Measure what opening a model costs: time, and private memory. Needs Linux.

Run as `python opening.py portvec ARTIFACT` or `python opening.py model2vec FOLDER`; prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main(library: str, folder: str) -> dict[str, float]:
    """Open a model; return seconds and private bytes. For portvec, also those of its session alone."""
    found: dict[str, float] = {}

    def measured(name: str, call: Callable[[], Any]) -> Any:
        before = _private()
        start = time.perf_counter()
        result = call()
        found[f"{name}_seconds"] = time.perf_counter() - start
        found[f"{name}_private_bytes"] = _private() - before
        return result

    if library == "portvec":
        from portvec import StaticEmbedder
        from portvec._inference.onnxruntime import onnxruntime

        session = onnxruntime.InferenceSession
        onnxruntime.InferenceSession = lambda *args, **options: measured(
            "session", lambda: session(*args, **options)
        )
        model: Any = measured("all", lambda: StaticEmbedder.load(folder, threads=1))
    else:
        from model2vec import StaticModel

        model = measured("all", lambda: StaticModel.from_pretrained(folder, force_download=False))
    del model
    return found


def _private() -> int:
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1]) * 1024
    raise ValueError("Private_Dirty")


if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder: its files must not be importable as modules
    print(json.dumps(main(sys.argv[1], sys.argv[2])))
