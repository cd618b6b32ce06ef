"""The measured process: it loads one implementation, and times the calls that it is told to make.

It reads commands from standard input and answers on standard output, one JSON value per line. It runs as a
file, not as a module, because its package would import modules that a peer's process must not have.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MOST_QUERIES = 20_000


def main() -> None:
    """Load the implementation that the first line names, then answer until standard input ends."""
    sys.path.pop(0)  # this folder, whose files must not be found as modules
    # What libraries print goes to stderr.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(value: Any) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    sys.stdin.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    request = json.loads(sys.stdin.readline())
    try:
        handlers = _load(request, answer)
        for line in sys.stdin:
            command, *arguments = json.loads(line)
            answer(handlers[command](*arguments))
    except Exception as error:
        known = type(error).__module__.startswith("portvec.")
        answer({"error": str(error) if known else f"{request['name']}: {type(error).__name__}: {error}"})


def _load(request: dict[str, Any], answer: Callable[[Any], None]) -> dict[str, Callable[..., Any]]:
    memory = _module(Path(__file__).with_name("memory.py"))
    package, load = _module(Path(request["loaders"])).LOADERS[request["loader"]]
    start = time.perf_counter()
    importlib.import_module(package)
    imported = time.perf_counter()
    encode, facts = load(**request["options"])
    times = {"import": imported - start, "load": time.perf_counter() - imported}
    resident = memory.read_resident()
    encode(["the first vector"])
    answer({**times, "resident": resident, **facts})
    # Read the texts only now, so that they do not count as memory of loading.
    sets = json.loads(Path(request["texts"]).read_text(encoding="utf-8"))

    def run(name: str, budget: float) -> list[float]:
        """Return the seconds of each pass over a set. Passes are repeated until the budget is used up."""
        passes: list[float] = []
        while not passes or sum(passes) < budget:
            start = time.perf_counter()
            encode(sets[name])
            passes.append(time.perf_counter() - start)
        return passes

    def queries(name: str, budget: float) -> list[float]:
        """Return the seconds that each of some single texts takes, at least 100."""
        seconds: list[float] = []
        deadline = time.perf_counter() + budget
        while len(seconds) < 100 or (time.perf_counter() < deadline and len(seconds) < _MOST_QUERIES):
            query = [sets[name][len(seconds) % len(sets[name])]]
            start = time.perf_counter()
            encode(query)
            seconds.append(time.perf_counter() - start)
        return seconds

    def vectors(name: str, path: str) -> None:
        import numpy as np

        np.save(path, np.asarray(encode(sets[name]), dtype=np.float32))

    return {"run": run, "queries": queries, "vectors": vectors, "peak": memory.read_peak}


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"_portvec_bench_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
