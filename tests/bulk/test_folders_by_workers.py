"""embed_folder: workers embed shares of Parquet files into a folder. Here they are calls in this process."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Generator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from dying import lives
from folders import names
from portvec import StaticEmbedder
from portvec._bulk.provenance import Provenance
from portvec._bulk.running import Counts, Plan
from portvec._bulk.sources import open_source
from portvec.errors import FileError, OptionError, SourceError
from portvec.integrations import _to_folder
from portvec.integrations._engines import shared_model
from portvec.integrations._shares import Share, ShareCounts, ShareEmbedder, cut_shares
from portvec.integrations._to_folder import embed_folder

Shares = Generator[ShareCounts, None, None]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Return a folder with 100 rows in three files; four of them are null."""
    folder = tmp_path / "rows"
    folder.mkdir()
    texts: list[str | None] = [f"text number {number}" for number in range(100)]
    texts[3::30] = [None] * 4
    table = pa.table({"id": range(100), "text": texts, "kept": [f"row {number}" for number in range(100)]})
    for name, first, stop, group in (("a", 0, 20, 5), ("b", 20, 21, 1), ("c", 21, 100, 79)):
        pq.write_table(table.slice(first, stop - first), folder / f"{name}.parquet", row_group_size=group)
    return folder


@pytest.fixture(autouse=True)
def _small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_to_folder, "cut_shares", lambda paths: cut_shares(paths, 16))


def here(work: ShareEmbedder, shares: list[Share]) -> Shares:
    """Embed shares in this process, the last first."""
    yield from map(work, reversed(shares))


def embed(model: Path, rows: Path, output: Path, run: Callable[..., Shares] = here, **options: Any) -> Counts:
    counted: list[int] = []
    plan = Plan(**{"on_error": "skip", **options})
    counts = embed_folder(shared_model(model, {}), open_source(rows), output, plan, run, counted.append)
    assert counted[0] == counts.resumed
    assert sum(counted) == counts.rows
    return counts


def read(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


@pytest.mark.parametrize(
    "sizes", [[], [0], [1], [7, 7, 7], [40], [3, 40, 3], [16, 16, 1], [15, 2, 100, 1, 1]]
)
def test_shares_have_all_rows_in_order(tmp_path: Path, sizes: list[int]) -> None:
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    schema = pa.schema({"text": pa.string()})
    for path in paths:
        with pq.ParquetWriter(path, schema) as writer:
            for size in sizes:
                writer.write_table(pa.table({"text": ["x"] * size}, schema), row_group_size=max(size, 1))
    shares = cut_shares(paths, 16)
    assert [share.number for share in shares] == list(range(len(shares)))
    if not sum(sizes):
        assert shares == [Share(0, str(paths[0]), 0, 0)]
        return
    for path in paths:
        own = [share for share in shares if share.path == str(path)]
        assert (own[0].start, own[-1].stop) == (0, sum(sizes))
        assert all(one.stop == other.start for one, other in pairwise(own))
        assert all(0 < share.stop - share.start <= 16 for share in own)
        # A row group is cut only if it is too large for a share.
        edges = np.cumsum([0, *sizes])
        for share in own:
            group = int(np.searchsorted(edges, share.start, side="right")) - 1
            assert share.start in edges or sizes[group] > 16


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("fixed_size", [True, False])
def test_rows_keep_their_order_and_columns(
    tiny: Path, rows: Path, tmp_path: Path, dtype: str, fixed_size: bool
) -> None:
    counts = embed(tiny, rows, tmp_path / "deep" / "out", dtype=dtype, fixed_size=fixed_size, part_rows=3)
    assert counts == Counts(96, 4, 0)
    written = pads.dataset(tmp_path / "deep" / "out", format="parquet").to_table()
    given = pads.dataset(rows, format="parquet").to_table()
    given = given.filter(pa.compute.is_valid(given["text"]))
    assert written.drop_columns("embedding").equals(given)
    embedder = StaticEmbedder.load(tiny)
    kind = written.schema.field("embedding").type
    assert pa.types.is_fixed_size_list(kind) == fixed_size
    vectors = np.array(written["embedding"].combine_chunks().flatten()).reshape(96, -1)
    expected = embedder.encode(given["text"].to_pylist()).astype(dtype)
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-6 if dtype == "float32" else 1e-3)
    files = sorted((tmp_path / "deep" / "out").iterdir())
    assert len(files) > 3
    assert pq.ParquetFile(files[0]).metadata.row_group(0).num_rows == 3
    assert Provenance.read(pq.read_schema(files[0]).metadata) == Provenance.of(embedder, "text", "embedding")
    skipped = (tmp_path / "deep" / "out.skipped.jsonl").read_text(encoding="utf-8").splitlines()
    assert [line.split('"row": ')[1].split(",")[0] for line in skipped] == ["4", "13", "43", "73"]
    assert names(tmp_path / "deep") == ["out", "out.skipped.jsonl"]


def test_no_rows(tiny: Path, rows: Path, tmp_path: Path) -> None:
    pq.write_table(pq.read_table(rows / "b.parquet").slice(1), tmp_path / "empty.parquet")
    assert embed(tiny, tmp_path / "empty.parquet", tmp_path / "out") == Counts(0, 0, 0)
    assert pads.dataset(tmp_path / "out").schema.names == ["id", "text", "kept", "embedding"]


def test_a_run_that_stops_goes_on_to_the_same_bytes(tiny: Path, rows: Path, tmp_path: Path) -> None:
    embed(tiny, rows, tmp_path / "calm" / "out")
    for attempt in range(3):

        def stop_after_two(work: ShareEmbedder, shares: list[Share]) -> Shares:
            for share in shares[:2]:
                work(share)
                yield work(share)  # an engine may run it twice
            raise FileError("the machine is gone")

        with pytest.raises(FileError, match=r"^the machine is gone$"):
            embed(tiny, rows, tmp_path / "stopped" / "out", stop_after_two)
        assert names(tmp_path / "stopped") == ["out.partial"]
        done = list((tmp_path / "stopped").glob("out.partial/run-*/notes/*.done"))
        assert len(done) == 2 * (attempt + 1)
    # A file that is not as long as it was is embedded again, and so is one that nothing is known about.
    (run,) = (tmp_path / "stopped").glob("out.partial/run-*")
    parts = sorted((run / "data").iterdir())
    parts[0].write_bytes(parts[0].read_bytes()[:-1])
    (run / "notes" / parts[1].with_suffix(".done").name).write_bytes(b"[")
    (run / "left by a worker.tmp").touch()
    left = pq.read_metadata(parts[2]).num_rows + pq.read_metadata(parts[3]).num_rows
    left += pq.read_metadata(parts[4]).num_rows + pq.read_metadata(parts[5]).num_rows
    assert embed(tiny, rows, tmp_path / "stopped" / "out") == Counts(96, 4, left)
    assert read(tmp_path / "stopped") == read(tmp_path / "calm")


@pytest.mark.slow
def test_killed_at_any_write(tiny: Path, rows: Path, tmp_path: Path) -> None:
    """A child is killed at its first write to a file, the next at its second, and so on."""
    embed(tiny, rows, tmp_path / "calm" / "out")
    folder = tmp_path / "killed"
    script = f"""
        from portvec._bulk.running import Plan
        from portvec._bulk.sources import open_source
        from portvec.integrations import _to_folder
        from portvec.integrations._engines import shared_model

        cut = _to_folder.cut_shares
        _to_folder.cut_shares = lambda paths: cut(paths, 16)

        def run(work, shares):
            yield from map(work, reversed(shares))

        source = open_source({str(rows)!r})
        plan = Plan(on_error="skip")
        _to_folder.embed_folder(shared_model({str(tiny)!r}, {{}}), source, {str(folder / "out")!r}, plan, run)
        """
    moments = next(moment for moment in range(1, 200) if lives(script, moment))
    assert moments > 4
    assert read(folder) == read(tmp_path / "calm")


def test_workers_that_end_too_early(tiny: Path, rows: Path, tmp_path: Path) -> None:
    def lose_one(work: ShareEmbedder, shares: list[Share]) -> Shares:
        yield from map(work, shares[1:])

    with pytest.raises(FileError) as caught:
        embed(tiny, rows, tmp_path / "out", lose_one)
    assert str(caught.value) == (
        f"{rows}: 85 of 100 rows are embedded, and the workers have ended; repeat the command to go on"
    )
    assert not (tmp_path / "out").exists()
    assert embed(tiny, rows, tmp_path / "out").rows == 96


def test_a_bad_row_leaves_nothing(tiny: Path, rows: Path, tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        embed(tiny, rows, tmp_path / "work" / "out", on_error="fail")
    assert str(caught.value) == (
        f"{rows}{os.sep}c.parquet, row 73: the text is null; give it a value, or pass on_error='skip'"
    )
    assert names(tmp_path / "work") == []


def test_another_input_or_other_settings_are_refused(tiny: Path, rows: Path, tmp_path: Path) -> None:
    def stop(work: ShareEmbedder, shares: list[Share]) -> Shares:
        yield work(shares[0])
        raise FileError("the machine is gone")

    def refusal(**options: Any) -> str:
        with pytest.raises(FileError) as caught:
            embed(tiny, rows, tmp_path / "out", stop, **options)
        return str(caught.value).replace(str(tmp_path) + os.sep, "")

    assert refusal() == "the machine is gone"
    assert refusal(dtype="float16") == (
        "out.partial: holds a run with another dtype (float32, now float16); repeat that run to go on with "
        "it, or pass overwrite=True to begin again"
    )
    os.utime(rows / "b.parquet", (1, 1))
    assert f"another input ({rows / 'b.parquet'})".replace(str(tmp_path) + os.sep, "") in refusal()
    assert embed(tiny, rows, tmp_path / "out", overwrite=True) == Counts(96, 4, 0)


def test_an_input_that_changes_while_it_is_read(tiny: Path, rows: Path, tmp_path: Path) -> None:
    def change(work: ShareEmbedder, shares: list[Share]) -> Shares:
        yield from map(work, shares)
        os.utime(rows / "a.parquet", (1, 1))

    with pytest.raises(FileError) as caught:
        embed(tiny, rows, tmp_path / "out", change)
    assert str(caught.value) == (
        f"{rows / 'a.parquet'}: changed while it was read; pass overwrite=True to begin again"
    )


def test_a_worker_with_another_model_or_without_the_files(
    tiny: Path, bundled: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(
        change: Callable[[ShareEmbedder], ShareEmbedder], kind: type[Exception], path: str | None = None
    ) -> str:
        def run(work: ShareEmbedder, shares: list[Share]) -> Shares:
            yield change(work)(shares[0]._replace(path=path or shares[0].path))

        with pytest.raises(kind) as caught:
            embed(tiny, rows, tmp_path / "out", run)
        return str(caught.value)

    def with_other_model(work: ShareEmbedder) -> ShareEmbedder:
        return replace(work, model=shared_model(bundled, {}))

    def with_other_version(work: ShareEmbedder) -> ShareEmbedder:
        return replace(work, versions={**work.versions, "numpy": "1.0"})

    monkeypatch.setattr(socket, "gethostname", lambda: "worker-7")
    message = fail(with_other_model, SourceError)
    assert message.startswith(f"{bundled}: another model than where the run was started (SHA-256 of the ")
    assert message.endswith("); give all machines the same one")
    assert fail(lambda work: work, FileError, path="/elsewhere.parquet") == (
        "/elsewhere.parquet: cannot be reached on the machine worker-7 (No such file or directory); all "
        "machines must see input and output under the same paths, and as the same user"
    )
    message = fail(with_other_version, FileError)
    assert message.endswith(
        f": numpy is {np.__version__} on the machine worker-7, and 1.0 where the run was started; install "
        "the same on all machines"
    )


def test_an_output_that_exists(
    tiny: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "work" / "out"
    out.parent.mkdir()

    def message(**options: Any) -> str:
        with pytest.raises(FileError) as caught:
            embed(tiny, rows, out, **options)
        assert names(out.parent) == ["out"]
        return str(caught.value).replace(str(out.parent) + os.sep, "")

    out.touch()
    assert message() == "out: is a file, expected a folder to create; choose another output"
    out.unlink()
    out.mkdir()
    (out / "letter.txt").touch()
    taken = "out: exists and is not empty; choose another output, or pass overwrite=True"
    assert message() == taken
    assert message(overwrite=True) == (
        "out: holds letter.txt, which is not Parquet, and overwrite=True does not delete it; choose another "
        "output"
    )
    (out / "letter.txt").unlink()
    (out / "folder.parquet").mkdir()
    assert message(overwrite=True).startswith("out: holds folder.parquet, which is not Parquet,")
    (out / "folder.parquet").rmdir()
    monkeypatch.chdir(out)
    assert message(overwrite=True) == (
        "out: is the current folder, holds it or is a mount point, and cannot be replaced; choose a folder "
        "in it"
    )
    monkeypatch.chdir(tmp_path)
    assert embed(tiny, rows, out).rows == 96  # the folder was empty
    (out.parent / "out.skipped.jsonl").unlink()
    assert message() == taken
    (out / "_SUCCESS").touch()
    embed(tiny, rows, out, overwrite=True)
    assert "_SUCCESS" not in names(out)
    assert names(out.parent) == ["out", "out.skipped.jsonl"]


def test_an_output_that_holds_the_input(tiny: Path, rows: Path, tmp_path: Path) -> None:
    before = read(rows)
    with pytest.raises(FileError) as caught:
        embed(tiny, rows / "a.parquet", rows, overwrite=True)
    assert str(caught.value) == (
        f"{rows}: holds the input {rows / 'a.parquet'}, and is replaced; choose another output"
    )
    assert read(rows) == before


def test_a_folder_of_the_name_of_an_incomplete_output(tiny: Path, rows: Path, tmp_path: Path) -> None:
    precious = tmp_path / "out.partial" / "letters" / "letter.txt"
    precious.parent.mkdir(parents=True)
    precious.touch()
    with pytest.raises(FileError) as caught:
        embed(tiny, rows, tmp_path / "out", overwrite=True)
    assert str(caught.value) == (
        f"{tmp_path / 'out.partial'}: holds letters, which is not portvec's, and portvec would write there "
        "until the output is complete; move the folder, or choose another output"
    )
    assert names(tmp_path / "out.partial") == ["letters"]
    assert precious.exists()


def test_workers_that_outlive_their_run(tiny: Path, rows: Path, tmp_path: Path) -> None:
    """They must not write into the next run, which is about another input and has other vectors."""
    left: list[tuple[ShareEmbedder, list[Share]]] = []

    def stop(work: ShareEmbedder, shares: list[Share]) -> Shares:
        left.append((work, shares))
        yield work(shares[0])
        raise KeyboardInterrupt

    def disturbed(work: ShareEmbedder, shares: list[Share]) -> Shares:
        yield from map(work, shares)
        (old, all_of_them) = left[0]
        for share in all_of_them:
            with pytest.raises(FileError, match=r"cannot be reached on the machine .* \(No such file or dir"):
                old(share)

    with pytest.raises(KeyboardInterrupt):
        embed(tiny, rows, tmp_path / "out", stop)
    counts = embed(tiny, rows / "a.parquet", tmp_path / "out", disturbed, dtype="float16", overwrite=True)
    assert counts == Counts(19, 1, 0)
    written = pads.dataset(tmp_path / "out").to_table()
    assert written["id"].to_pylist() == [number for number in range(20) if number != 3]
    assert written.schema.field("embedding").type.value_type == pa.float16()


def test_a_file_that_is_lost_before_the_folder_is_at_its_place(
    tiny: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*arguments: object) -> None:
        raise OSError("the machine stops")

    monkeypatch.setattr(_to_folder, "_publish", die)
    with pytest.raises(FileError, match=r"the machine stops"):
        embed(tiny, rows, tmp_path / "out")
    monkeypatch.undo()
    (run,) = tmp_path.glob("out.partial/run-*")
    lost = min((run / "data").iterdir())
    content = lost.read_bytes()
    lost.unlink()
    with pytest.raises(FileError) as caught:
        embed(tiny, rows, tmp_path / "out")
    assert str(caught.value) == (
        f"{run / 'data'}: its files are not those that were written; remove {tmp_path / 'out.partial'} to "
        "embed the rows again"
    )
    lost.write_bytes(content)
    plan = Plan(on_error="skip")
    counts = embed_folder(shared_model(tiny, {}), open_source(rows), tmp_path / "out", plan, here)
    assert counts == Counts(96, 4, 96)
    assert pads.dataset(tmp_path / "out").count_rows() == 96


def test_a_pattern_that_covers_the_output_goes_on(tiny: Path, rows: Path, tmp_path: Path) -> None:
    def stop(work: ShareEmbedder, shares: list[Share]) -> Shares:
        yield work(shares[0])
        raise FileError("the machine is gone")

    with pytest.raises(FileError, match=r"^the machine is gone$"):
        embed(tiny, rows / "**" / "*.parquet", rows / "out", stop)
    assert embed(tiny, rows / "**" / "*.parquet", rows / "out").rows == 96


def test_an_unknown_way_to_treat_errors(tiny: Path, rows: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"^on_error 'raise' is unknown, expected one of fail, skip$"):
        embed(tiny, rows, tmp_path / "out", on_error="raise")


def test_columns_that_do_not_fit(tiny: Path, rows: Path, tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        embed(tiny, rows, tmp_path / "out", embedding="kept")
    assert str(caught.value) == (
        f"{rows}: has a column 'kept' already; give another vector_field=... to the embeddings"
    )
