"""Be one process from start to end: load an implementation, encode the texts of a file, report, exit.

Run as `python once.py REQUEST.json`.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


def main(request_path: str) -> None:
    """Encode the texts as the request says, and write what was measured to the file that it names."""
    request = json.loads(Path(request_path).read_text())
    _, load = runpy.run_path(str(_HERE / "peers.py"))["LOADERS"][request["loader"]]
    encode, facts = load(**request["options"])
    measure = _one_call if request["slice"] is None else _in_slices
    found = measure(encode, Path(request["texts"]), request["slice"])
    Path(request["report"]).write_text(json.dumps({**found, "tokenizer": facts.get("tokenizer")}))
    # Skip the shutdown of the interpreter, which is not part of the work.
    os._exit(0)


def _in_slices(encode: Callable[[list[str]], Any], path: Path, size: int) -> dict[str, float]:
    """Encode texts slice by slice, and keep none; return the time at the end, and the memory then."""
    with path.open(encoding="utf-8", newline="\n") as file:
        while texts := [line.rstrip("\n") for line in islice(file, size)]:
            encode(texts)
    ended = time.monotonic()
    return {"ended": ended, "private_bytes": _private_bytes()}


def _one_call(encode: Callable[[list[str]], Any], path: Path, _: None) -> dict[str, float]:
    """Return the seconds of one call when warm, and its memory beyond the texts and the vectors."""
    texts = path.read_text(encoding="utf-8").split("\n")
    for _number in range(5):  # enough text for portvec to load its tokenizer for many texts
        encode(texts[:100])
    before = _reset_peak()
    start = time.perf_counter()
    vectors = encode(texts)
    seconds = time.perf_counter() - start
    # Without the texts and the vectors, which the caller keeps anyway.
    working = _memory("VmHWM") - before - vectors.nbytes
    return {"seconds": seconds, "working_bytes": working}


def _private_bytes() -> int:
    found: int = runpy.run_path(str(_HERE / "private_memory.py"))["private_bytes"]()
    return found


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
