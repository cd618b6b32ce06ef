"""Measure what opening a session on an artifact's graph costs: time, and private memory. Needs Linux.

Run as `python opening.py ARTIFACT`; prints JSON.
"""

from __future__ import annotations

import json
import runpy
import sys
import time
from pathlib import Path
from typing import Any


def main(folder: str) -> dict[str, float]:
    """Load an artifact and embed a batch; return the seconds and private bytes of its session alone."""
    from portvec import StaticEmbedder
    from portvec._inference.onnxruntime import onnxruntime

    private_bytes = runpy.run_path(str(Path(__file__).with_name("private_memory.py")))["private_bytes"]
    found: dict[str, float] = {}
    session = onnxruntime.InferenceSession

    def measured(*args: Any, **options: Any) -> Any:
        before = private_bytes()
        start = time.perf_counter()
        result = session(*args, **options)
        found["session_seconds"] = time.perf_counter() - start
        found["session_private_bytes"] = private_bytes() - before
        return result

    onnxruntime.InferenceSession = measured
    # The first batch loads the session.
    StaticEmbedder.load(folder, threads=1).encode(["one text", "another"])
    return found


if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder: its files must not be importable as modules
    print(json.dumps(main(sys.argv[1])))
