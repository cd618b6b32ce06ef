"""Repeat measurements in turns, and summarize them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from benchmarks.contenders import Contender

_HERE = Path(__file__).parent
_Key = TypeVar("_Key")


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median, minimum, maximum and number of some values."""
    return {"median": median(values), "min": min(values), "max": max(values), "repeats": len(values)}


def in_turns(
    measure: Mapping[_Key, Callable[[], Mapping[str, float]]], rounds: int
) -> dict[_Key, dict[str, dict[str, float]]]:
    """Call each measurement once a round; return the spread of each value it returns."""
    found: dict[_Key, list[Mapping[str, float]]] = {key: [] for key in measure}
    for _ in range(rounds):
        for key, call in measure.items():
            found[key].append(call())
    return {
        key: {name: spread([r[name] for r in results]) for name in results[0]}
        for key, results in found.items()
    }


def process(command: Sequence[str], threads: int | None = None) -> dict[str, float]:
    """Run a command to its end; return its seconds and peak_bytes."""
    environment = {**os.environ}
    if threads is not None:
        environment |= {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    launcher = [sys.executable, "-I", "-S", str(_HERE / "launch.py")]
    result = subprocess.run([*launcher, *command], env=environment, check=True, capture_output=True)
    found: dict[str, float] = json.loads(result.stdout)
    if found.pop("code"):
        raise RuntimeError(f"{' '.join(command)}: failed\n{result.stderr.decode()}")
    return found


def once(
    contender: Contender, texts: Sequence[str], threads: int, *, measured: bool = False
) -> dict[str, float]:
    """Encode texts in a fresh process; return the seconds and peak_bytes of the whole process.

    With `measured`, return what the process measures itself: seconds and working_bytes of one `encode` call.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "texts").write_text("\n".join(texts), encoding="utf-8")
        request: dict[str, Any] = {
            "loader": contender.loader,
            "options": {**contender.options, "threads": threads},
            "texts": str(folder / "texts"),
        }
        if measured:
            request["measure"] = str(folder / "measured.json")
        (folder / "request.json").write_text(json.dumps(request))
        whole = process([sys.executable, str(_HERE / "once.py"), str(folder / "request.json")], threads)
        if not measured:
            return whole
        found: dict[str, float] = json.loads((folder / "measured.json").read_text())
        return found


def opened(library: str, folder: Path) -> dict[str, float]:
    """Open a model in a fresh process; return seconds and private bytes of each step."""
    command = [sys.executable, str(_HERE / "opening.py"), library, str(folder)]
    result = subprocess.run(command, check=True, capture_output=True)
    found: dict[str, float] = json.loads(result.stdout)
    return found
