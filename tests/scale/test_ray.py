"""Ray: Parquet to Parquet on a cluster of several machines, which are processes here, and datasets."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from command_line import RunPortvec
from engines import assert_embedded, need_engine, rows, write_files
from folders import names
from portvec import StaticEmbedder
from portvec._bulk.provenance import Provenance
from portvec.errors import FileError, InputError, OptionError, SourceError

need_engine("ray")

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import ray
from ray.cluster_utils import Cluster

from portvec.integrations._ray_cluster import run_tasks
from portvec.integrations.ray import PortvecEmbedder, embed, embed_parquet

MEMORY = 200 * 2**20  # of the store of objects of each machine


@pytest.fixture(autouse=True, scope="module")
def _ray_folder() -> Iterator[None]:
    """Ray's files go into a folder of their own, with a short name: it holds sockets."""
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """No test leaves a connection, or the processes that it started."""
    yield
    connected = ray.is_initialized()
    ray.shutdown()
    assert not connected


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head that runs no tasks, and two machines with two CPUs each."""
    head = {"num_cpus": 0, "object_store_memory": MEMORY, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        cluster.add_node(num_cpus=2, object_store_memory=MEMORY)
    cluster.wait_for_nodes()
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def local() -> Iterator[None]:
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=MEMORY)
    yield
    ray.shutdown()


def read(folder: Path) -> pa.Table:
    return pads.dataset(folder, format="parquet").to_table()


def workers_of(raylet: int) -> list[int]:
    """Return the ids of the processes that embed on the machine whose daemon is `raylet`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            title = (process / "cmdline").read_bytes()
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):  # it has ended
            continue
        if parent == raylet and b"ray::portvec" in title:
            found.append(int(process.name))
    return found


def test_every_row_is_there_once_after_a_machine_is_lost(
    cluster: Cluster, bundled: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = rows(150_000, null=False)
    folder = write_files(table, tmp_path / "texts", files=60)
    lost: list[tuple[list[int], int]] = []
    done = threading.Event()

    def lose_a_machine() -> None:
        """Wait until one of them embeds and some rows are written, then kill its processes."""
        while not done.wait(0.02):
            written = len(list(tmp_path.glob("out.partial/run-*/notes/*.done")))
            for node in list(cluster.worker_nodes):
                raylet = node.all_processes["raylet"][0].process.pid
                if written and (workers := workers_of(raylet)):
                    cluster.remove_node(node, allow_graceful=False)
                    lost.append((workers, written))
                    return

    killer = threading.Thread(target=lose_a_machine)
    killer.start()
    try:
        count = embed_parquet(bundled, folder, tmp_path / "out", address=cluster.address)
    finally:
        done.set()
        killer.join()
    ((workers, written),) = lost
    assert workers
    assert capfd.readouterr().err == ""  # Ray reports to the log that is switched off
    assert 0 < written < len(list((tmp_path / "out").iterdir()))
    assert count == len(table)
    got = read(tmp_path / "out")
    assert_embedded(got, table, bundled)
    assert got["id"].equals(read(folder)["id"])  # the files are in the order of the rows


def test_rows_that_are_skipped_and_float16(
    cluster: Cluster, bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "artifact").symlink_to(bundled)
    monkeypatch.chdir(tmp_path)
    table = rows()
    write_files(table, tmp_path / "texts")
    count = embed_parquet(
        "artifact",
        "texts",
        "deep/out",
        dtype="float16",
        fixed_size=False,
        on_error="skip",
        address=cluster.address,
        workers=3,
        threads=2,
    )
    table = table.filter(table["text"].is_valid())
    assert count == len(table)
    written = read(tmp_path / "deep" / "out")
    assert written.schema.field("embedding").type.value_type == pa.float16()
    assert_embedded(written, table, bundled, "float16")
    metadata = pq.read_schema(next((tmp_path / "deep" / "out").iterdir())).metadata
    embedder = StaticEmbedder.load(bundled)
    assert Provenance.read(metadata) == Provenance.of(embedder, "text", "embedding")


def test_without_an_address_processes_start_and_end(bundled: Path, tmp_path: Path) -> None:
    """The input is a file, and the output replaces that of an earlier run."""
    table = rows(1000, null=False)
    pq.write_table(table, tmp_path / "texts.parquet")
    (tmp_path / "out").mkdir()
    pq.write_table(table, tmp_path / "out" / "old.parquet")
    assert embed_parquet(bundled, tmp_path / "texts.parquet", tmp_path / "out", overwrite=True) == 1000
    assert not ray.is_initialized()
    assert_embedded(read(tmp_path / "out"), table, bundled)
    assert names(tmp_path / "out") == ["part-000000000.parquet"]
    assert [name for name in names(tmp_path) if name != "portvec-cache"] == ["out", "texts.parquet"]


def test_the_command_goes_on(bundled: Path, tmp_path: Path, portvec_process: RunPortvec) -> None:
    """The first run stops at a row that cannot be embedded, and the second one skips it."""
    table = rows(3000, null=False)
    texts = [*table["text"].to_pylist()[:-1], None]
    table = table.set_column(1, "text", pa.array(texts, pa.string()))
    write_files(table, tmp_path / "texts", files=3)
    command = ["embed", bundled, "-i", "texts", "-o", "out", "--engine", "ray", "--threads", "1"]
    stopped = portvec_process(*command)
    assert (stopped.returncode, stopped.stdout) == (1, "")
    assert stopped.stderr == (
        f"portvec: error: {tmp_path / 'texts' / 'part-2.parquet'}, row 1000: the text is null; give it a "
        "value, or pass --on-error 'skip'\n"
    )
    done = portvec_process(*command, "--on-error", "skip")
    assert done.returncode == 0
    assert re.fullmatch(
        r"out: 2,999 embeddings of dimension 256, [12],000 of them from before; 1 rows skipped, see "
        r"out\.skipped\.jsonl\n",
        done.stderr,
    )
    assert_embedded(read(tmp_path / "out"), table.slice(0, 2999), bundled)


def test_errors_of_workers(local: None, bundled: Path, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    texts = pa.array([b"good", b"\xff"]).view(pa.utf8())
    pq.write_table(pa.table({"id": [0, 1], "text": texts}), tmp_path / "texts" / "part.parquet")
    problem = r"part.parquet, row 2: the text is not UTF-8 \(.*\); correct the row, or pass on_error='skip'$"
    with pytest.raises(FileError, match=problem):
        embed_parquet(bundled, tmp_path / "texts", tmp_path / "out")
    assert [name for name in names(tmp_path) if name != "portvec-cache"] == ["texts"]

    def fail(number: int) -> int:
        raise ZeroDivisionError(f"by {number}")

    def die(number: int) -> int:
        os._exit(9)

    with pytest.raises(OptionError, match=r"^address is 'auto', and Ray is connected to a cluster already; "):
        embed_parquet(bundled, tmp_path / "texts", tmp_path / "out", address="auto")
    with pytest.raises(FileError, match=r"^Ray could not embed the rows \(.*by 7\)$"):
        list(run_tasks(fail, [7]))
    with pytest.raises(FileError, match=r"^Ray could not embed the rows \(The worker died unexpectedly"):
        list(run_tasks(die, [7]))


def test_each_actor_loads_the_model_once(local: None, bundled: Path) -> None:
    class Counting(PortvecEmbedder):  # local, because the actors cannot import this module
        """Returns a row for each batch: the process, and how many models it has loaded."""

        def __call__(self, table: pa.Table) -> pa.Table:
            from portvec.integrations._common import _load

            rows = super().__call__(table).num_rows
            return pa.table({"pid": [os.getpid()], "rows": [rows], "loads": [_load.cache_info().misses]})

    dataset = ray.data.from_arrow(rows()).repartition(4)
    counted = dataset.map_batches(
        Counting,
        fn_constructor_args=[str(bundled)],
        batch_format="pyarrow",
        batch_size=500,
        compute=ray.data.ActorPoolStrategy(size=2),
        num_cpus=0.5,
    ).take_all()
    assert len(counted) > len({row["pid"] for row in counted})  # an actor had several batches
    assert os.getpid() not in {row["pid"] for row in counted}
    assert {row["loads"] for row in counted} == {1}
    assert sum(row["rows"] for row in counted) == 5000


def test_a_dataset(local: None, bundled: Path) -> None:
    table = rows(2000)
    embedded = embed(ray.data.from_arrow(table), bundled, actors=8)  # more than there are CPUs
    assert_embedded(pa.concat_tables(ray.get(embedded.to_arrow_refs())), table, bundled)
    with pytest.raises(OptionError, match=r"^actors is 0, expected a whole number of 1 or more, or None$"):
        embed(ray.data.from_arrow(table), bundled, actors=0)
    with pytest.raises(SourceError, match=r"^no/such/folder: no such folder"):
        embed(ray.data.from_arrow(table), "no/such/folder")
    wrong: Any = "int8"
    with pytest.raises(OptionError, match=r"^dtype 'int8' is unknown, expected one of float32, float16$"):
        embed(ray.data.from_arrow(table), bundled, dtype=wrong)


def test_an_actor_says_what_is_wrong_with_a_batch(bundled: Path) -> None:
    actor = PortvecEmbedder(bundled, column="body")
    with pytest.raises(InputError, match=r"^no column 'body', has id, text, kept; give another column=...$"):
        actor(rows(10))


def test_errors_come_before_anything_starts(bundled: Path, tmp_path: Path) -> None:
    good = write_files(rows(100, null=False), tmp_path / "good", files=1)
    (tmp_path / "lines.txt").write_text("a text\n")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "part.parquet").touch()
    out = tmp_path / "out"

    def message(kind: type[Exception], input: Path, output: Path = out, **options: Any) -> str:
        with pytest.raises(kind) as caught:
            embed_parquet(options.pop("source", bundled), input, output, **options)
        assert not ray.is_initialized()
        assert not out.exists()
        return str(caught.value).replace(str(tmp_path) + os.sep, "")

    assert message(FileError, tmp_path / "none") == "none: cannot be read (No such file or directory)"
    assert message(FileError, tmp_path / "lines.txt").startswith("lines.txt: cannot be read as Parquet (")
    assert message(FileError, good, field="body") == (
        f"{Path('good', 'part-0.parquet')}: no column 'body', has id, text, kept; give another field=..."
    )
    assert message(FileError, good, vector_field="kept").startswith("good: has a column 'kept' already;")
    assert message(FileError, good, tmp_path / "taken") == (
        "taken: exists and is not empty; choose another output, or pass overwrite=True"
    )
    assert message(SourceError, good, source="no/such/folder").startswith("no/such/folder: no such folder")
    assert (
        message(OptionError, good, dtype="int8")
        == "dtype 'int8' is unknown, expected one of float32, float16"
    )
    assert message(OptionError, good, workers=0).startswith("workers is 0, expected a whole number")
    assert message(TypeError, good, devise="cpu").endswith("unexpected keyword argument 'devise'")


def test_no_cluster_at_the_address(bundled: Path, tmp_path: Path) -> None:
    folder = write_files(rows(100, null=False), tmp_path / "texts", files=1)
    with pytest.raises(OptionError, match=r"^address is '127.0.0.1:1', where no Ray cluster answers "):
        embed_parquet(bundled, folder, tmp_path / "out", address="127.0.0.1:1")
