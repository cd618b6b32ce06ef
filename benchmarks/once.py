"""Be one process from start to end: load an implementation, encode the texts of a file, exit.

Run as `python once.py REQUEST.json`.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from pathlib import Path


def main(request_path: str) -> None:
    """Encode the texts; if the request has "measure", write time and memory to the file that it names."""
    request = json.loads(Path(request_path).read_text())
    _, load = runpy.run_path(str(Path(__file__).with_name("peers.py")))["LOADERS"][request["loader"]]
    encode, _ = load(**request["options"])
    texts = Path(request["texts"]).read_text(encoding="utf-8").split("\n")
    if "measure" not in request:
        encode(texts)
        # Skip the shutdown of the interpreter, which is not part of the work.
        os._exit(0)
    encode(texts[:100])
    before = _reset_peak()
    start = time.perf_counter()
    vectors = encode(texts)
    seconds = time.perf_counter() - start
    # Without the texts and the vectors, which the caller keeps anyway.
    working = _memory("VmHWM") - before - vectors.nbytes
    Path(request["measure"]).write_text(json.dumps({"seconds": seconds, "working_bytes": working}))


def _reset_peak() -> int:
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(field: str) -> int:
    """Return a field of Linux's /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise ValueError(field)


if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder: its files must not be importable as modules
    main(sys.argv[1])
