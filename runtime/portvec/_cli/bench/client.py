"""The measuring side: starts a worker process and asks it for times."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import click
import numpy as np
import numpy.typing as npt

_FOLDER = Path(__file__).parent

# Every pool of threads that an implementation or its libraries may start.
_THREAD_VARIABLES = ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Worker:
    """One implementation in a process of its own.

    Attributes:
        name: its name in reports.
        started: seconds from the start of the process to its first vector.
        facts: what it reported about itself, including `import` and `load`, the seconds that each took.
    """

    def __init__(
        self,
        name: str,
        loader: str,
        options: dict[str, Any],
        texts: Path,
        *,
        threads: int | None = None,
        loaders: Path = _FOLDER / "contenders.py",
    ) -> None:
        self.name = name
        bounds = {} if threads is None else dict.fromkeys(_THREAD_VARIABLES, str(threads))
        start = time.perf_counter()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        self._process = subprocess.Popen(
            [sys.executable, str(_FOLDER / "worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            encoding="utf-8",
            env={**os.environ, **bounds},
        )
        request = {
            "name": name,
            "loaders": str(loaders),
            "loader": loader,
            "options": options,
            "texts": str(texts),
        }
        try:
            self.facts: dict[str, Any] = self._ask(request)
        except BaseException:
            self.close()
            raise
        self.started = time.perf_counter() - start

    def run(self, texts: str, budget: float) -> list[float]:
        """Return the seconds of each pass over a set of texts, as many as fit into `budget` seconds."""
        passes: list[float] = self._ask(["run", texts, budget])
        return passes

    def queries(self, texts: str, budget: float) -> list[float]:
        """Return the seconds of each of at least 100 single texts."""
        seconds: list[float] = self._ask(["queries", texts, budget])
        return seconds

    def vectors(self, texts: str) -> npt.NDArray[np.float32]:
        """Return the vectors of a set, float32 (n, dim)."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "vectors.npy"
            self._ask(["vectors", texts, str(path)])
            vectors: npt.NDArray[np.float32] = np.load(path)
        return vectors

    def peak(self) -> int | None:
        """Return the most bytes of memory that the process has used; None if the system does not say."""
        most: int | None = self._ask(["peak"])
        return most

    def _ask(self, value: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(OSError):  # the process has ended; the error below says why
            self._process.stdin.write(json.dumps(value) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise click.ClickException(self._why_it_ended())
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise click.ClickException(answer["error"])
        return answer

    def _why_it_ended(self) -> str:
        code = self._process.wait()
        self._log.seek(0)
        said = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return f"{self.name}: its process ended with code {code}" + (f" ({said[-1]})" if said else "")

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # the process may have ended before it read everything
                    pipe.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:  # in the middle of a pass, after Ctrl-C
            self._process.kill()
            self._process.wait()
        self._log.close()
