"""Measure many rows: files through `portvec embed`, and engines; write the table of docs/scale.md.

Each run is a process of its own. The time that is left out as start is that of the same run with few rows.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import models, texts
from portvec import StaticEmbedder

PAGE = models.ROOT / "docs" / "scale.md"
_BEGIN, _END = "<!-- written by make bench-scale: begin -->", "<!-- written by make bench-scale: end -->"
_ROWS_OF_A_FILE = 250_000
_FEW = 1_000
_FOLDER = models.FOLDER / "scale"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows for files")
    parser.add_argument("--engine-rows", type=int, default=1_000_000, help="rows for engines")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", nargs=3, metavar=("NAME", "INPUT", "OUTPUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        name, source, output = arguments.run
        RUNS[name](Path(source), Path(output))
        return
    lines = list(_measure(arguments.rows, arguments.engine_rows, arguments.rounds))
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(_BEGIN)
    _, after = rest.split(_END)
    PAGE.write_text(before + "\n".join([_BEGIN, *lines, _END]) + after, encoding="utf-8")


def _measure(rows: int, engine_rows: int, rounds: int) -> Iterator[str]:
    yield "| what | rows | rows/s, with start | start | rows/s after it | memory | bytes written a row |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    few = _make_rows(_FEW)
    plans = [
        *((name, count) for name in _FILES for count in (rows // 5, rows)),
        *((name, engine_rows) for name in _ENGINES),
    ]
    for name, count in plans:
        source = _make_rows(count)
        starts, times, memory, size = [], [], [], 0
        for _ in range(rounds):
            starts.append(_time(name, few)[0])
            seconds, taken, size = _time(name, source)
            times.append(seconds)
            memory.append(taken)
        start, seconds = median(starts), median(times)
        cells = [
            name,
            f"{count:,}",
            f"{count / seconds:,.0f}",
            f"{start:.1f} s",
            f"{(count - _FEW) / max(seconds - start, 1e-9):,.0f}",
            f"{max(memory) / 1e6:,.0f} MB",
            f"{size / count:,.0f}",
        ]
        line = f"| {' | '.join(cells)} |"
        print(line, file=sys.stderr, flush=True)
        yield line


def _make_rows(count: int) -> Path:
    """Return a folder of Parquet files with ids and English texts of 12 words."""
    folder = _FOLDER / str(count)
    if not folder.exists():
        work = folder.with_suffix(".new")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        found = texts.many(count)
        for first in range(0, count, _ROWS_OF_A_FILE):
            part = list(islice(found, _ROWS_OF_A_FILE))
            table = pa.table({"id": range(first, first + len(part)), "text": part})
            pq.write_table(table, work / f"part-{first // _ROWS_OF_A_FILE:04}.parquet")
        work.rename(folder)
    return folder


def _time(name: str, source: Path) -> tuple[float, int, int]:
    """Return the seconds of a run, the bytes of memory that it took, and the bytes that it wrote."""
    output = _FOLDER / "output"
    _remove(output)
    command = [sys.executable, "-m", "benchmarks.scale", "--run", name, str(source), str(output)]
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "PYSPARK_PYTHON": sys.executable}
    with _Memory() as memory:
        began = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")
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
    """Watches how much memory the system has less than before, whichever processes take it."""

    taken = 0

    def __enter__(self) -> _Memory:
        self._before = _available()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            self.taken = max(self.taken, self._before - _available())


def _available() -> int:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in lines if line.startswith("MemAvailable"))
    return int(line.split()[1]) * 1024


def _in_memory(source: Path, _: Path) -> None:
    found = pq.read_table(source, columns=["text"])["text"].to_pylist()
    StaticEmbedder.load(_model()).encode(found)


def _embed(dtype: str) -> Callable[[Path, Path], None]:
    def run(source: Path, output: Path) -> None:
        from portvec._cli.main import run as run_command

        target = output.with_suffix(".parquet")
        target.unlink(missing_ok=True)
        arguments = ["embed", _model(), "-i", str(source), "-o", str(target), "--dtype", dtype, "-q"]
        assert run_command(arguments) == 0
        target.rename(output)

    return run


def _ray_files(source: Path, output: Path) -> None:
    from portvec.integrations.ray import embed_parquet

    embed_parquet(_model(), source, output)


def _ray_data(source: Path, output: Path) -> None:
    import logging

    import ray

    from portvec.integrations.ray import embed

    ray.init("local", include_dashboard=False, log_to_driver=False, logging_level=logging.CRITICAL)
    ray.data.DataContext.get_current().enable_progress_bars = False
    embed(ray.data.read_parquet(str(source), partitioning=None), _model()).write_parquet(str(output))


def _spark_files(source: Path, output: Path) -> None:
    from portvec.integrations.spark import embed_parquet

    with _spark() as session:
        embed_parquet(session, _model(), source, output)


def _spark_frame(source: Path, output: Path) -> None:
    from portvec.integrations.spark import embed

    with _spark() as session:
        embed(session.read.parquet(str(source)), _model()).write.parquet(str(output))


@contextmanager
def _spark() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    builder: Any = SparkSession.builder
    session = builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    yield session
    session.stop()


def _daft(source: Path, output: Path) -> None:
    import daft

    from portvec.integrations.daft import embed

    embed(daft.read_parquet(f"{source}/*.parquet"), _model()).write_parquet(str(output))


def _duckdb(source: Path, output: Path) -> None:
    import duckdb

    from portvec.integrations.duckdb import register

    connection = duckdb.connect()
    register(connection, _model())
    query = f"SELECT *, portvec(text) AS embedding FROM '{source}/*.parquet'"
    connection.execute(f"COPY ({query}) TO '{output}' (FORMAT parquet)")


def _polars(source: Path, output: Path) -> None:
    import polars as pl

    from portvec.integrations.polars import embed

    embed(pl.scan_parquet(f"{source}/*.parquet"), _model()).sink_parquet(output)


def _model() -> str:
    return str(models.artifact("wordpiece"))


_FILES = {
    "in memory: read, then `encode`": _in_memory,
    "`portvec embed`, float32": _embed("float32"),
    "`portvec embed`, float16": _embed("float16"),
}
_ENGINES = {
    "Ray, `embed_parquet`": _ray_files,
    "Ray Data, `embed`, its reader and writer": _ray_data,
    "Spark, `embed_parquet`": _spark_files,
    "Spark, `embed`, its reader and writer": _spark_frame,
    "Daft": _daft,
    "DuckDB": _duckdb,
    "polars": _polars,
}
RUNS = {**_FILES, **_ENGINES}


if __name__ == "__main__":
    _FOLDER.mkdir(parents=True, exist_ok=True)
    main()
