"""Ways to embed many rows, each from Parquet to Parquet: python -m benchmarks.bulk_runs NAME INPUT OUTPUT."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks import models
from portvec import StaticEmbedder


def _in_memory(source: Path, _: Path) -> None:
    found = pq.read_table(source, columns=["text"])["text"].to_pylist()
    embedder = StaticEmbedder.load(_model())
    began = time.perf_counter()
    embedder.encode(found)
    print(time.perf_counter() - began)


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


IN_MEMORY = "`encode` alone, in memory"
PLAIN = "`portvec embed`, float32"
FILES = {
    IN_MEMORY: _in_memory,
    PLAIN: _embed("float32"),
    "`portvec embed`, float16": _embed("float16"),
}
ENGINES = {
    "Ray, `embed_parquet`": _ray_files,
    "Ray, `embed`, with its reader and writer": _ray_data,
    "Spark, `embed_parquet`": _spark_files,
    "Spark, `embed`, with its reader and writer": _spark_frame,
    "Daft, with its reader and writer": _daft,
    "DuckDB, with its reader and writer": _duckdb,
    "polars, with its reader and writer": _polars,
}


if __name__ == "__main__":
    name, source, output = sys.argv[1:]
    {**FILES, **ENGINES}[name](Path(source), Path(output))
