"""Verify artifacts and embed texts on the machine that runs this, and write the results.

    python -m arm64.on_device ARTIFACTS OUTPUT JOB ...

A JOB is an artifact's name and a tokenizer, as float32/nanotoken. ARTIFACTS has the folders and texts.json.
"""

from __future__ import annotations

import ctypes
import json
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from portvec import StaticEmbedder, verify

_HWCAP, _ASIMDDP = 16, 1 << 20  # <sys/auxv.h>, <asm/hwcap.h>


def main(artifacts: Path, output: Path, jobs: list[str]) -> None:
    """Run the jobs, and print a JSON object for each."""
    _check_machine()
    texts = json.loads((artifacts / "texts.json").read_text(encoding="utf-8"))
    verified: dict[str, float] = {}
    for job in jobs:
        name, tokenizer = job.split("/")
        if name not in verified:
            verified[name] = verify(artifacts / name).largest_difference
        start = time.perf_counter()
        embedder = StaticEmbedder.load(artifacts / name, tokenizer=tokenizer)
        embeddings = embedder.encode(texts)
        seconds = time.perf_counter() - start
        tokens = embedder.tokenize(texts)
        np.savez(output / f"{name}-{tokenizer}.npz", embeddings=embeddings, **tokens._asdict())
        report = {"job": job, "tokenizer": embedder.tokenizer, "seconds": seconds}
        print(json.dumps({**report, "verified": verified[name]}), flush=True)


def machine() -> str:
    """Return the machine and the versions on it, in a line."""
    names = ("onnxruntime", "tokenizers", "nanotoken", "numpy")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    return f"Python {platform.python_version()}, {platform.machine()}; {versions}"


def _check_machine() -> None:
    """Check that the processor has what /proc/cpuinfo promises, because onnxruntime believes the file."""
    print(json.dumps({"machine": machine()}), flush=True)
    if platform.machine() != "aarch64":
        return
    getauxval = ctypes.CDLL(None).getauxval
    getauxval.restype = ctypes.c_ulong
    has = bool(getauxval(_HWCAP) & _ASIMDDP)
    promised = "asimddp" in Path("/proc/cpuinfo").read_text().split()
    if has != promised:
        sys.exit(f"/proc/cpuinfo has asimddp: {promised}, the processor: {has}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
