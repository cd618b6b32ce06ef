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

from benchmarks.contenders import PEERS, Contender

_HERE = Path(__file__).parent
# A peer that starts threads or processes of its own for many texts does so for more than 10,000.
_LEAST_IN_A_SLICE = 12_000
_Key = TypeVar("_Key", bound=str)


class FailedError(Exception):
    """A measured process failed. The message is the last line that it wrote."""


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median, minimum, maximum and number of some values."""
    return {"median": median(values), "min": min(values), "max": max(values), "repeats": len(values)}


def in_turns(
    measure: Mapping[_Key, Callable[[], Mapping[str, Any]]], rounds: int
) -> dict[_Key, dict[str, Any]]:
    """Call each measurement once a round; return the spread of each number that it returns.

    Other values are those of its first call. A peer that fails is called no more: its result says why.

    Raises:
        FailedError: a measurement that is not a peer's failed.
    """
    found: dict[_Key, list[Mapping[str, Any]]] = {key: [] for key in measure}
    failed: dict[_Key, str] = {}
    for _ in range(rounds):
        for key, call in measure.items():
            if key in failed:
                continue
            try:
                found[key].append(call())
            except FailedError as error:
                if key not in PEERS:
                    raise
                failed[key] = str(error)
    return {
        key: {"failed": failed[key]}
        if key in failed
        else {name: _summary([r[name] for r in results]) for name in results[0]}
        for key, results in found.items()
    }


def _summary(values: Sequence[Any]) -> Any:
    return spread(values) if isinstance(values[0], int | float) else values[0]


def process(command: Sequence[str]) -> dict[str, float]:
    """Run a command to its end; return its seconds and peak_bytes.

    Raises:
        FailedError: it failed.
    """
    found = _run(command)
    return {name: found[name] for name in ("seconds", "peak_bytes")}


def _run(command: Sequence[str], threads: int | None = None) -> dict[str, float]:
    """Return the figures of launch.py."""
    environment = {**os.environ}
    if threads is not None:
        environment |= {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    launcher = [sys.executable, "-I", "-S", str(_HERE / "launch.py")]
    result = subprocess.run([*launcher, *command], env=environment, check=True, capture_output=True)
    found: dict[str, float] = json.loads(result.stdout)
    if code := found.pop("code"):
        said = result.stderr.decode("utf-8", "replace").strip().splitlines()
        raise FailedError(f"its process ended with code {code:g}" + (f" ({said[-1]})" if said else ""))
    return found


def once(contender: Contender, texts: Sequence[str], threads: int) -> dict[str, Any]:
    """Encode texts in a fresh process that keeps no vectors.

    Returns:
        The seconds from its start to the last vector, its peak_bytes, its private_bytes at the end, and the
        tokenizer that it reported.
    """
    size = -(-len(texts) // max(1, len(texts) // _LEAST_IN_A_SLICE))
    whole, report = _run_once(contender, texts, threads, size)
    seconds = report.pop("ended") - whole["started"]
    return {"seconds": seconds, "peak_bytes": whole["peak_bytes"], **report}


def one_call(contender: Contender, texts: Sequence[str], threads: int) -> dict[str, Any]:
    """Encode texts in one call in a fresh process; return the seconds and working_bytes of the call."""
    return _run_once(contender, texts, threads, None)[1]


def _run_once(
    contender: Contender, texts: Sequence[str], threads: int, size: int | None
) -> tuple[dict[str, float], dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "texts").write_text("\n".join(texts), encoding="utf-8", newline="\n")
        request = {
            "loader": contender.loader,
            "options": {**contender.options, "threads": threads},
            "texts": str(folder / "texts"),
            "slice": size,
            "report": str(folder / "report.json"),
        }
        (folder / "request.json").write_text(json.dumps(request))
        whole = _run([sys.executable, str(_HERE / "once.py"), str(folder / "request.json")], threads)
        return whole, json.loads((folder / "report.json").read_text())


def opened(folder: Path) -> dict[str, float]:
    """Open an artifact in a fresh process; return the seconds and private bytes of its session."""
    command = [sys.executable, str(_HERE / "opening.py"), str(folder)]
    result = subprocess.run(command, check=True, capture_output=True)
    found: dict[str, float] = json.loads(result.stdout)
    return found
