"""Spark: frames on two local cores, whose workers are processes."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engines import ALL, assert_embedded, need_engine, rows, write_files
from portvec.errors import FileError, InputError, OptionError, SourceError

need_engine("pyspark")
if not ALL and shutil.which("java") is None and "JAVA_HOME" not in os.environ:
    pytest.skip("Spark needs Java 17 or newer, and there is none", allow_module_level=True)

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from pyspark.sql.types import ArrayType, FloatType

from portvec.integrations._shares import Share, ShareCounts
from portvec.integrations.spark import _on, batch_embedder, embed, embed_parquet


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session on this machine, which listens on the loopback interface only."""
    folder = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        settings: dict[str, bool | float | int | str | None] = {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.memory": "1g",
            "spark.local.dir": str(folder),
            "spark.log.level": "OFF",  # each error would be 30 lines
            "spark.sql.execution.arrow.maxRecordsPerBatch": "500",
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
            "spark.ui.enabled": "false",
        }
        session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
        yield session
        session.stop()


def test_parquet_to_parquet(
    spark: SparkSession, bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "artifact").symlink_to(bundled)
    monkeypatch.chdir(tmp_path)  # the folder of the driver; workers run in others
    table = rows()
    frame = spark.read.parquet(str(write_files(table, tmp_path / "texts")))
    embedded = embed(frame, "artifact")
    assert embedded.schema["embedding"].dataType == ArrayType(FloatType(), False)
    embedded.write.parquet(str(tmp_path / "out"))
    assert_embedded(spark.read.parquet(str(tmp_path / "out")).toArrow(), table, bundled)


def test_files_that_workers_write(spark: SparkSession, bundled: Path, tmp_path: Path) -> None:
    table = rows()
    folder = write_files(table, tmp_path / "texts")
    problem = r"part-\d.parquet, row \d+: the text is null; give it a value, or pass on_error='skip'$"
    with pytest.raises(FileError, match=problem):
        embed_parquet(spark, bundled, folder, tmp_path / "out")
    assert embed_parquet(spark, bundled, folder, tmp_path / "out", on_error="skip") == 4990
    kept = table.filter(table["text"].is_valid())
    written = pads.dataset(tmp_path / "out").to_table()
    assert written["id"].equals(kept["id"])
    assert_embedded(written, kept, bundled)
    assert spark.read.parquet(str(tmp_path / "out")).count() == 4990
    with pytest.raises(FileError, match=r"out: exists and is not empty; choose another output, or pass "):
        embed_parquet(spark, bundled, folder, tmp_path / "out")


def test_errors_that_are_not_those_of_portvec(spark: SparkSession) -> None:
    def fail(share: Share) -> ShareCounts:
        raise ZeroDivisionError(share.path)

    def die(share: Share) -> ShareCounts:
        os._exit(9)

    def embed_with(work: Any) -> str:
        with pytest.raises(FileError) as caught:
            list(_on(spark)(work, [Share(0, "here", 0, 1)]))
        return str(caught.value)

    assert embed_with(fail) == "Spark could not embed the rows (ZeroDivisionError: here)"
    assert embed_with(die).startswith("Spark could not embed the rows (")
    assert "\n" not in embed_with(die)


def test_an_interruption_ends_the_job(
    spark: SparkSession, bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another call takes the output over at once, and nothing of the first one is in it."""
    folder = write_files(rows(20_000, null=False), tmp_path / "texts", files=20)
    done = threading.Event()

    def interrupt() -> None:
        while not done.wait(0.02):
            if list(tmp_path.glob("out.partial/run-*/notes/*.done")):
                os.kill(os.getpid(), signal.SIGINT)
                return

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            embed_parquet(spark, bundled, folder, tmp_path / "out")
    finally:
        done.set()
        thread.join()
    assert not (tmp_path / "out").exists()
    last = folder / "part-19.parquet"
    count = embed_parquet(spark, bundled, last, tmp_path / "out", dtype="float16", overwrite=True)
    assert count == 1000
    (file,) = (tmp_path / "out").iterdir()
    assert pq.read_schema(file).field("embedding").type.value_type == pa.float16()
    assert not spark.sparkContext.statusTracker().getActiveJobsIds()


def test_each_worker_loads_the_model_once(spark: SparkSession, bundled: Path, tmp_path: Path) -> None:
    frame = spark.read.parquet(str(write_files(rows(), tmp_path / "texts", files=8)))
    artifact = shutil.copytree(bundled, tmp_path / "artifact")  # which no other test has loaded
    embed_partition = batch_embedder(artifact)

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from portvec.integrations._common import _load

        before = _load.cache_info().misses
        for batch in embed_partition(batches):
            after = _load.cache_info().misses
            yield pa.RecordBatch.from_pylist(
                [{"pid": os.getpid(), "rows": batch.num_rows, "loads": after - before}]
            )
            before = after

    counted = frame.mapInArrow(count, "pid long, rows long, loads long").collect()
    workers = {row.pid for row in counted}
    assert os.getpid() not in workers
    assert len(counted) > len(workers)  # one had several batches
    assert sum(row.loads for row in counted) == len(workers)
    assert sum(row.rows for row in counted) == 5000


def test_other_names_and_a_sort_at_the_end(spark: SparkSession, bundled: Path) -> None:
    frame = spark.createDataFrame([(2, "b"), (0, None), (1, "a")], "n int, body string").repartition(2)
    found = embed(frame, bundled, column="body", name="v", threads=2).sort("n").collect()
    assert [(row.n, row.body, row.v and len(row.v)) for row in found] == [
        (0, None, None),
        (1, "a", 256),
        (2, "b", 256),
    ]


def test_errors_come_before_the_plan_runs(spark: SparkSession, bundled: Path) -> None:
    frame = spark.createDataFrame([(1, "a text")], "id long, text string")
    with pytest.raises(InputError, match=r"^no column 'body', has id, text; give another column=...$"):
        embed(frame, bundled, column="body")
    with pytest.raises(InputError, match=r"^the column 'id' is int64, expected string; cast it"):
        embed(frame, bundled, column="id")
    with pytest.raises(InputError, match=r"^has a column 'id' already; give another name=..."):
        embed(frame, bundled, name="id")
    half: Any = "float16"
    with pytest.raises(OptionError, match=r"^dtype is 'float16', but vectors in Spark are float32$"):
        embed(frame, bundled, dtype=half)
    with pytest.raises(SourceError, match=r"^no/such/folder: no such folder"):
        embed(frame, "no/such/folder")
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'devise'"):
        embed(frame, bundled, devise="cpu")
