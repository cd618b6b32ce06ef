"""Measure many rows: files through `portvec embed`, and engines; write the table of docs/scale.md.

Each run is a process of its own. The time that is left out as start is that of the same run with few rows.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import models, texts
from benchmarks.bulk_runs import ENGINES, FILES, IN_MEMORY, PLAIN

PAGE = models.ROOT / "docs" / "scale.md"
_ROWS_OF_A_FILE = 250_000
_FEW = 1_000
_FOLDER = models.FOLDER / "scale"
_CORES = len(os.sched_getaffinity(0))
_DIM = models.DIM
# What is predicted: rows, and the cores of a machine and its network, in bytes a second (2.5 Gbit/s).
_BILLION = 10**9
_NODE_CORES = 8
_NODE_NETWORK = 2.5e9 / 8


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows for files")
    parser.add_argument("--engine-rows", type=int, default=1_000_000, help="rows for engines")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    results = _measure(arguments.rows, arguments.engine_rows, arguments.rounds)
    _write("measured", [_describe_machine(arguments.rounds), "", *_tabulate(results)])
    _write("prediction", _predict(results))


class _Result(NamedTuple):
    """A run with many rows, as medians.

    Attributes:
        name: what was run.
        rows: the number of rows.
        start: seconds of the same run with few rows.
        seconds: seconds of the run.
        memory: bytes that it took.
        read: bytes of a row in the input.
        written: bytes of a row in the output.
    """

    name: str
    rows: int
    start: float
    seconds: float
    memory: float
    read: float
    written: float

    @property
    def pace(self) -> float:
        """Rows a second after the start."""
        return (self.rows - _FEW) / max(self.seconds - self.start, 1e-9)


def _measure(rows: int, engine_rows: int, rounds: int) -> list[_Result]:
    """Run everything in turn, again and again, so that all meet the same disturbances."""
    few = _make_rows(_FEW, _FEW // _CORES)  # a file for each worker, so that all start
    plans = [
        *((name, count) for count in (rows // 5, rows) for name in FILES),
        *((name, engine_rows) for name in ENGINES),
    ]
    found: dict[tuple[str, int], list[tuple[float, ...]]] = {plan: [] for plan in plans}
    for number in range(rounds):
        for name, count in plans:
            source = _make_rows(count)
            start, *_ = _time(name, few)
            seconds, memory, written = _time(name, source)
            read = sum(path.stat().st_size for path in source.iterdir())
            found[name, count].append((start, seconds, memory, read / count, written / count))
            print(f"{number + 1}/{rounds} {name}, {count:,}: {seconds:.1f} s", file=sys.stderr, flush=True)
    return [_Result(*plan, *map(median, zip(*runs, strict=True))) for plan, runs in found.items()]


def _tabulate(results: list[_Result]) -> Iterator[str]:
    yield (
        "| what | rows | start, s | rows/s for each core | of `portvec embed` | memory, MB | bytes a row |"
    )
    yield "|---|--:|--:|--:|--:|--:|--:|"
    plain = {result.rows: result.pace for result in results if result.name == PLAIN}
    for result in results:
        cells = [
            result.name,
            f"{result.rows:,}",
            f"{result.start:.1f}",
            f"{result.pace / _CORES:,.0f}",
            f"{result.pace / plain[result.rows]:.0%}",
            f"{result.memory / 1e6:,.0f}",
            f"{result.written:,.0f}",
        ]
        yield f"| {' | '.join(cells)} |"


def _describe_machine(rounds: int) -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    processor = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("pyarrow", "ray", "pyspark", "daft", "duckdb", "polars")
    )
    return (
        f"Medians of {rounds} runs on {_CORES} cores of a virtual machine ({processor}), Python "
        f"{platform.python_version()}, {versions}."
    )


def _predict(results: list[_Result]) -> Iterator[str]:
    """Yield what the measured figures say about a billion rows."""
    plain = max((result for result in results if result.name == PLAIN), key=lambda result: result.rows)
    pace = plain.pace / _CORES
    columns = plain.written - 4 * _DIM
    yield (
        f"Read: {plain.read:.0f} bytes a row. Written: {columns:.0f} bytes a row, and the vector. Embedded: "
        f"{pace:,.0f} rows/s for each core."
    )
    yield ""
    nodes = (1, 4, 16)
    heads = [f"{count} machine{'s' if count > 1 else ''}, min" for count in nodes]
    yield f"| vectors | written | {' | '.join(heads)} |"
    yield f"|---|--:|{'--:|' * len(heads)}"
    for dim, dtype, size in (
        (256, "float32", 4),
        (256, "float16", 2),
        (64, "float32", 4),
        (64, "float16", 2),
    ):
        written = _BILLION * (columns + size * dim)
        cells = []
        for count in nodes:
            cores = _BILLION / (pace * count * _NODE_CORES)
            network = max(written, _BILLION * plain.read) / (count * _NODE_NETWORK)
            cells.append(f"{cores / 60:,.1f}; {network / 60:,.1f}")
        yield f"| {dim} x {dtype} | {written / 1e12:.2f} TB | {' | '.join(cells)} |"


def _write(name: str, lines: Iterable[str]) -> None:
    """Write lines to their place in the page."""
    page = PAGE.read_text(encoding="utf-8")
    begin, end = (f"<!-- {name}, written by make bench-scale: {edge} -->" for edge in ("begin", "end"))
    before, rest = page.split(begin)
    _, after = rest.split(end)
    PAGE.write_text(before + "\n".join([begin, *lines, end]) + after, encoding="utf-8")


def _make_rows(count: int, in_a_file: int = _ROWS_OF_A_FILE) -> Path:
    """Return a folder of Parquet files with ids and English texts of 12 words."""
    folder = _FOLDER / str(count)
    if not folder.exists():
        work = folder.with_suffix(".new")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        found = texts.many(count)
        for first in range(0, count, in_a_file):
            part = list(islice(found, in_a_file))
            table = pa.table({"id": range(first, first + len(part)), "text": part})
            pq.write_table(table, work / f"part-{first // in_a_file:04}.parquet")
        work.rename(folder)
    return folder


def _time(name: str, source: Path) -> tuple[float, int, int]:
    """Return the seconds of a run, the bytes of memory that it took, and the bytes that it wrote.

    Memory is what the process had, or what the system had less than before, if other processes took more.
    """
    output = _FOLDER / "output"
    _remove(output)
    command = [sys.executable, "-m", "benchmarks.bulk_runs", name, str(source), str(output)]
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "PYSPARK_PYTHON": sys.executable}
    with _Memory() as memory:
        began = time.perf_counter()
        with tempfile.TemporaryFile("w+") as messages:
            process = subprocess.Popen(command, env=environment, stdout=messages, stderr=messages)
            memory.process = process.pid
            process.wait()
            seconds = time.perf_counter() - began
            messages.seek(0)
            said = messages.read()
            if process.returncode:
                raise SystemExit(f"{name}: {said[-2000:]}")
    if name == IN_MEMORY:
        seconds = float(said)  # without reading
    files = output.rglob("*") if output.is_dir() else [output] if output.exists() else []
    size = sum(path.stat().st_size for path in files if path.is_file())
    _remove(output)
    return seconds, memory.taken, size


def _remove(output: Path) -> None:
    if output.is_dir():
        shutil.rmtree(output)
    else:
        output.unlink(missing_ok=True)


class _Memory:
    """Watches how much memory a process has, and how much less the system has than before.

    Attributes:
        process: id of the process.
        taken: the most bytes of either.
    """

    process = 0
    taken = 0

    def __enter__(self) -> _Memory:
        self._before = _read("/proc/meminfo", "MemAvailable")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            resident = _read(f"/proc/{self.process}/status", "VmHWM") if self.process else 0
            self.taken = max(self.taken, resident, self._before - _read("/proc/meminfo", "MemAvailable"))


def _read(path: str, name: str) -> int:
    """Return a number of bytes that the kernel tells; 0 if the process has ended."""
    with suppress(OSError):
        for line in Path(path).read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    _FOLDER.mkdir(parents=True, exist_ok=True)
    main()
