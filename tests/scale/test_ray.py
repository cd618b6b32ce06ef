"""Ray Data: Parquet to Parquet on a cluster of several machines, which are processes here, and datasets."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engines import assert_embedded, need_engine, rows, write_files
from portvec import StaticEmbedder
from portvec._bulk.provenance import Provenance
from portvec.errors import FileError, InputError, OptionError, SourceError

need_engine("ray")

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import ray
from ray.cluster_utils import Cluster

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


def actors_of(raylet: int) -> list[int]:
    """Return the ids of the processes that embed on the machine whose daemon is `raylet`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            title = (process / "cmdline").read_bytes()
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):  # it has ended
            continue
        if parent == raylet and b"MapBatches(PortvecEmbedder)" in title:
            found.append(int(process.name))
    return found


def test_every_row_is_there_once_after_a_machine_is_lost(
    cluster: Cluster, bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = rows(150_000, null=False)
    folder = write_files(table, tmp_path / "texts", files=12)
    # Many small files, so that some are written long before the last.
    monkeypatch.setattr(ray.data.DataContext.get_current(), "target_max_block_size", 4 * 2**20)
    lost: list[tuple[list[int], int]] = []
    done = threading.Event()

    def lose_a_machine() -> None:
        """Wait until one of them embeds and some rows are written, then kill its processes."""
        while not done.wait(0.02):
            written = len(list(tmp_path.glob(".portvec-*/new/*.parquet")))
            for node in list(cluster.worker_nodes):
                raylet = node.all_processes["raylet"][0].process.pid
                if written and (actors := actors_of(raylet)):
                    cluster.remove_node(node, allow_graceful=False)
                    lost.append((actors, written))
                    return

    killer = threading.Thread(target=lose_a_machine)
    killer.start()
    try:
        count = embed_parquet(bundled, folder, tmp_path / "out", address=cluster.address)
    finally:
        done.set()
        killer.join()
    ((actors, written),) = lost
    assert actors
    assert 0 < written < len(list((tmp_path / "out").iterdir()))
    assert count == len(table)
    assert_embedded(read(tmp_path / "out"), table, bundled)


def test_parquet_to_parquet_with_null_and_float16(
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
        address=cluster.address,
        actors=3,
        batch_size=500,
        threads=2,
    )
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
    shown = ray.data.DataContext.get_current().enable_progress_bars
    assert embed_parquet(bundled, tmp_path / "texts.parquet", tmp_path / "out", overwrite=True) == 1000
    assert not ray.is_initialized()
    assert ray.data.DataContext.get_current().enable_progress_bars == shown
    assert_embedded(read(tmp_path / "out"), table, bundled)
    assert not (tmp_path / "out" / "old.parquet").exists()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "portvec-cache") == [
        "out",
        "texts.parquet",
    ]


def test_no_rows(local: None, bundled: Path, tmp_path: Path) -> None:
    folder = write_files(rows(1).slice(1), tmp_path / "texts", files=1)
    assert embed_parquet(bundled, folder, tmp_path / "out", name="v") == 0
    written = read(tmp_path / "out")
    assert written.num_rows == 0
    assert written.schema.field("v").type == pa.list_(pa.field("element", pa.float32()), 256)


def test_a_row_that_cannot_be_embedded_leaves_no_output(local: None, bundled: Path, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    texts = pa.array([b"good", b"\xff"]).view(pa.utf8())
    pq.write_table(pa.table({"id": [0, 1], "text": texts}), tmp_path / "texts" / "part.parquet")
    problem = "texts: the column 'text' holds a text that is not UTF-8 "
    with pytest.raises(FileError, match=problem):
        embed_parquet(bundled, tmp_path / "texts", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir() if path.name != "portvec-cache"] == ["texts"]


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
    folder = write_files(rows(100), tmp_path / "texts", files=1)
    good = write_files(rows(100, null=False), tmp_path / "good", files=1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "lines.txt").write_text("a text\n")
    shutil.copy(good / "part-0.parquet", tmp_path / "texts.pq")
    for name, other in (("taken", "part.parquet"), ("precious", "letter.txt")):
        (tmp_path / name).mkdir()
        (tmp_path / name / other).touch()
    out = tmp_path / "out"

    def message(kind: type[Exception], input: Path, output: Path = out, **options: Any) -> str:
        with pytest.raises(kind) as caught:
            embed_parquet(options.pop("source", bundled), input, output, **options)
        assert not ray.is_initialized()
        assert not out.exists()
        return str(caught.value).replace(str(tmp_path) + os.sep, "")

    assert message(FileError, tmp_path / "none") == (
        "none: no such file or folder, expected Parquet on a disk that all machines have"
    )
    assert message(FileError, tmp_path / "empty") == "empty: holds no file, expected Parquet files"
    assert message(FileError, tmp_path / "lines.txt").startswith("lines.txt: cannot be read as Parquet (")
    assert (
        message(FileError, tmp_path / "texts.pq")
        == "texts.pq: has the suffix '.pq', expected .parquet; rename it"
    )
    assert message(FileError, good, column="body") == (
        "good: no column 'body', has id, text, kept; give another column=..."
    )
    assert message(FileError, good, column="id").startswith("good: the column 'id' is int64, expected string")
    assert message(FileError, good, name="kept").startswith("good: has a column 'kept' already;")
    assert message(FileError, folder) == (
        "texts: the column 'text' holds null, and most versions of pyarrow cannot read null from a fixed "
        "size list in Parquet; pass fixed_size=False"
    )
    assert message(FileError, good, tmp_path / "lines.txt") == (
        "lines.txt: is a file, expected a folder to create; choose another output"
    )
    assert message(FileError, good, tmp_path / "taken") == (
        "taken: exists and is not empty; choose another output, or pass overwrite=True"
    )
    assert message(FileError, good, tmp_path / "precious", overwrite=True) == (
        "precious: holds letter.txt, which is not Parquet, and overwrite=True does not delete it; "
        "choose another output"
    )
    assert message(SourceError, good, source="no/such/folder").startswith("no/such/folder: no such folder")
    assert (
        message(OptionError, good, dtype="int8")
        == "dtype 'int8' is unknown, expected one of float32, float16"
    )
    assert message(OptionError, good, actors=0).startswith("actors is 0, expected a whole number")
    assert message(TypeError, good, devise="cpu").endswith("unexpected keyword argument 'devise'")


def test_no_cluster_at_the_address(bundled: Path, tmp_path: Path) -> None:
    folder = write_files(rows(100, null=False), tmp_path / "texts", files=1)
    with pytest.raises(OptionError, match=r"^address is '127.0.0.1:1', where no Ray cluster answers "):
        embed_parquet(bundled, folder, tmp_path / "out", address="127.0.0.1:1")
