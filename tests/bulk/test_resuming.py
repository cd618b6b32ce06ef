"""embed_file goes on where a run stopped, whatever stopped it."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dying import lives
from folders import names
from portvec import StaticEmbedder
from portvec._bulk import journal
from portvec._bulk.parts import cut_parts
from portvec._bulk.running import Counts, Plan
from portvec._bulk.sources import open_source
from portvec._bulk.to_file import embed_file
from portvec.errors import FileError

OUTPUTS = pytest.mark.parametrize("output", ["out.npy", "out.jsonl", "out.parquet", "out.arrow"])


@pytest.fixture
def embedder(tiny: Path) -> StaticEmbedder:
    return StaticEmbedder.load(tiny, threads=1)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Return a file of 18 rows, of which two are bad."""
    path = tmp_path / "work" / "rows.jsonl"
    path.parent.mkdir()
    lines = [json.dumps({"id": number, "text": f"text number {number}"}) for number in range(18)]
    lines[3] = '{"id": 3, "text": null}'
    lines[17] = "{"
    path.write_text("\n".join(lines) + "\n")
    return path


def run(embedder: StaticEmbedder, rows: Path, output: Path, **options: Any) -> Counts:
    plan = Plan(**{"part_rows": 4, "on_error": "skip", **options})
    return embed_file(embedder, open_source(rows), output, plan)


def undisturbed(embedder: StaticEmbedder, rows: Path, name: str) -> dict[str, bytes]:
    folder = rows.parent / "undisturbed"
    folder.mkdir(exist_ok=True)
    assert run(embedder, rows, folder / name) == Counts(16, 2, 0)
    return read(folder)


def read(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
@OUTPUTS
def test_killed_at_any_write(tiny: Path, embedder: StaticEmbedder, rows: Path, output: str) -> None:
    """A child is killed at its first write to a file, the next at its second, and so on."""
    expected = undisturbed(embedder, rows, output)
    folder = rows.parent / "killed"
    folder.mkdir()
    script = f"""
        from portvec._bulk import to_file, running
        from portvec._bulk.sources import open_source
        from portvec import StaticEmbedder

        embedder = StaticEmbedder.load({str(tiny)!r}, threads=1)
        plan = running.Plan(part_rows=4, on_error="skip")
        to_file.embed_file(embedder, open_source({str(rows)!r}), pathlib.Path({str(folder / output)!r}), plan)
        """
    for moment in range(1, 40):
        ended = lives(script, moment)
        if (folder / output).exists():
            assert (folder / output).read_bytes() == expected[output]
        if ended:
            break
    assert moment > 2
    assert read(folder) == expected


@OUTPUTS
def test_killed_again_and_again(
    embedder: StaticEmbedder, rows: Path, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run gets one part further, and an error that the disk is full follows."""
    expected = undisturbed(embedder, rows, output)
    folder = rows.parent / "full"
    folder.mkdir()
    append = journal.Journal.append
    for done in range(3):
        monkeypatch.setattr(journal.Journal, "append", full_after(1, append))
        with pytest.raises(FileError) as caught:
            run(embedder, rows, folder / output)
        assert str(caught.value) == (
            f"{folder / output}: cannot be written (No space left on device); the same command goes on from "
            "here"
        )
        assert names(folder) == [f"{output}.partial"]
        entries = (folder / f"{output}.partial" / "journal").read_text().splitlines()[1:]
        assert len(entries) == done + 1
    monkeypatch.undo()
    assert run(embedder, rows, folder / output) == Counts(16, 2, 12)
    assert read(folder) == expected


def full_after(calls: int, step: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that fails after some calls as a full disk does."""
    left = calls

    def limited(*arguments: Any) -> Any:
        nonlocal left
        if left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left -= 1
        return step(*arguments)

    return limited


def stop_after_one_part(embedder: StaticEmbedder, rows: Path, output: Path, **options: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal.Journal, "append", full_after(1, journal.Journal.append))
        with pytest.raises(FileError, match="No space left"):
            run(embedder, rows, output, **options)


def test_a_line_of_the_journal_that_is_cut_off_does_not_count(embedder: StaticEmbedder, rows: Path) -> None:
    expected = undisturbed(embedder, rows, "out.parquet")
    folder = rows.parent / "cut"
    folder.mkdir()
    stop_after_one_part(embedder, rows, folder / "out.parquet")
    path = folder / "out.parquet.partial" / "journal"
    whole = path.read_bytes()
    header = len(whole.splitlines()[0])
    for size in (0, 1, header // 2, header, header + 1, header + 2, len(whole) - 20, len(whole) - 1):
        path.write_bytes(whole[:size])
        stop_after_one_part(embedder, rows, folder / "out.parquet")
        assert path.read_bytes() == whole
    run(embedder, rows, folder / "out.parquet")
    assert read(folder) == expected


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"dtype": "float16"}, r"dtype \(float32, now float16\)"),
        ({"embedding": "vector"}, r"vector field \(embedding, now vector\)"),
        ({"part_rows": 5}, r"number of rows per part \(4, now 5\)"),
        ({"fixed_size": False}, r"type of vectors \(fixed-size list, now list\)"),
    ],
)
def test_other_settings_are_refused(
    embedder: StaticEmbedder, rows: Path, change: dict[str, Any], difference: str
) -> None:
    output = rows.parent / "out.parquet"
    stop_after_one_part(embedder, rows, output)
    message = (
        rf"out.parquet.partial: holds 4 rows of a run with another {difference}; repeat that run to go on "
        r"with it, or pass overwrite=True to begin again$"
    )
    with pytest.raises(FileError, match=message):
        run(embedder, rows, output, **change)
    assert run(embedder, rows, output, overwrite=True, **change) == Counts(16, 2, 0)
    assert names(rows.parent) == ["out.parquet", "out.parquet.skipped.jsonl", "rows.jsonl"]


def test_another_input_is_refused(embedder: StaticEmbedder, rows: Path) -> None:
    output = rows.parent / "out.npy"
    stop_after_one_part(embedder, rows, output)
    rows.write_text(rows.read_text() + '{"text": "one more"}\n')
    with pytest.raises(FileError, match=r"a run with another input \(.*rows.jsonl\); repeat that run"):
        run(embedder, rows, output)
    assert run(embedder, rows, output, overwrite=True) == Counts(17, 2, 0)


def test_another_model_is_refused(embedder: StaticEmbedder, rows: Path, bundled: Path) -> None:
    output = rows.parent / "out.npy"
    stop_after_one_part(embedder, rows, output)
    other = StaticEmbedder.load(bundled)
    with pytest.raises(FileError, match=r"holds 4 rows of a run with another model; repeat"):
        run(other, rows, output)


def test_a_run_that_failed_at_a_bad_row_goes_on_and_skips_it(embedder: StaticEmbedder, rows: Path) -> None:
    expected = undisturbed(embedder, rows, "out.npy")
    lines = rows.read_text().splitlines()
    rows.write_text("\n".join(lines[:3] + lines[4:]) + "\n")
    folder = rows.parent / "failed"
    folder.mkdir()
    with pytest.raises(FileError, match=r"rows.jsonl, line 17: not valid JSON .*, or pass on_error='skip'$"):
        run(embedder, rows, folder / "out.npy", on_error="fail")
    assert run(embedder, rows, folder / "out.npy")[:2] == (16, 1)
    assert (folder / "out.npy").read_bytes() == expected["out.npy"]


def test_a_journal_that_is_damaged(embedder: StaticEmbedder, rows: Path) -> None:
    output = rows.parent / "out.npy"
    stop_after_one_part(embedder, rows, output)
    path = rows.parent / "out.npy.partial" / "journal"
    path.write_bytes(path.read_bytes().replace(b'"rows"', b'"raws"'))
    with pytest.raises(
        FileError, match=r"journal: damaged \(.*\); remove .*out.npy.partial and begin again$"
    ):
        run(embedder, rows, output)


def test_two_processes_do_not_write_the_same_output(embedder: StaticEmbedder, rows: Path) -> None:
    output = rows.parent / "out.npy"
    with (
        journal.open_journal(output, {}, overwrite=False),
        pytest.raises(FileError, match=r"out.npy: another process writes it; wait for it, or choose another"),
    ):
        run(embedder, rows, output)


def test_an_output_that_exists_is_not_replaced(embedder: StaticEmbedder, rows: Path) -> None:
    output = rows.parent / "out.npy"
    output.write_text("precious")
    with pytest.raises(FileError, match=r"out.npy: exists; choose another output, or pass overwrite=True$"):
        run(embedder, rows, output)
    assert output.read_text() == "precious"
    assert names(rows.parent) == ["out.npy", "rows.jsonl"]
    run(embedder, rows, output, overwrite=True)
    assert np.load(output).shape == (16, 24)


def test_a_list_of_skipped_rows_goes_with_the_output_that_it_is_about(
    embedder: StaticEmbedder, rows: Path
) -> None:
    output = rows.parent / "out.npy"
    run(embedder, rows, output)
    skipped = rows.parent / "out.npy.skipped.jsonl"
    listed = [json.loads(line) for line in skipped.read_text().splitlines()]
    assert [(each["file"], each["line"]) for each in listed] == [(str(rows), 4), (str(rows), 18)]
    assert "expected a string or an object with a string 'text'" in listed[0]["reason"]
    rows.write_text('{"text": "good"}\n')
    assert run(embedder, rows, output, overwrite=True) == Counts(1, 0, 0)
    assert not skipped.exists()


def die_before(step: str, embedder: StaticEmbedder, rows: Path, output: Path) -> None:
    """Run until a step of the journal, and no further."""

    class Died(BaseException):
        pass

    def die(*_: object) -> None:
        raise Died

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal.Journal, step, die)
        with pytest.raises(Died):
            run(embedder, rows, output)


def test_a_complete_output_does_not_replace_a_file_that_came_meanwhile(
    embedder: StaticEmbedder, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = rows.parent / "out.npy"
    finish = journal.Journal.finish

    def finish_and_write(self: journal.Journal) -> None:
        finish(self)
        output.write_text("precious")

    monkeypatch.setattr(journal.Journal, "finish", finish_and_write)
    for _ in range(2):
        with pytest.raises(
            FileError, match=r"out.npy: exists; choose another output, or pass overwrite=True$"
        ):
            run(embedder, rows, output)
        assert output.read_text() == "precious"
    output.unlink()
    assert run(embedder, rows, output) == Counts(16, 2, 16)
    assert np.load(output).shape == (16, 24)


def test_an_output_that_is_gone_is_not_reported_as_written(embedder: StaticEmbedder, rows: Path) -> None:
    output = rows.parent / "out.npy"
    die_before("remove", embedder, rows, output)
    output.unlink()
    with pytest.raises(FileError, match=r"out.npy: was complete, and is gone; remove .*partial to embed"):
        run(embedder, rows, output)


def test_a_run_that_died_before_its_folder_was_removed(embedder: StaticEmbedder, rows: Path) -> None:
    output = rows.parent / "out.npy"
    die_before("remove", embedder, rows, output)
    assert (rows.parent / "out.npy.partial").is_dir()
    assert run(embedder, rows, output) == Counts(16, 2, 16)
    assert names(rows.parent) == ["out.npy", "out.npy.skipped.jsonl", "rows.jsonl"]


def test_files_that_are_shorter_than_the_journal_says(embedder: StaticEmbedder, rows: Path) -> None:
    output = rows.parent / "out.npy"
    stop_after_one_part(embedder, rows, output)
    data = rows.parent / "out.npy.partial" / "data"
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(FileError, match=r"data: shorter than its journal says; remove its folder, and begin"):
        run(embedder, rows, output)


def test_another_format_is_refused(embedder: StaticEmbedder, rows: Path) -> None:
    output = rows.parent / "out.npy"
    stop_after_one_part(embedder, rows, output)
    with pytest.raises(FileError, match=r"a run with another format \(jsonl, now txt\); repeat that run"):
        embed_file(embedder, open_source(rows, format="txt"), output, Plan(part_rows=4))


def test_an_input_that_changes_while_it_is_read(
    embedder: StaticEmbedder, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = journal.Journal.append

    def append_and_write(self: journal.Journal, entry: journal.Entry) -> None:
        append(self, entry)
        os.utime(rows, (1, 1))

    monkeypatch.setattr(journal.Journal, "append", append_and_write)
    output = rows.parent / "out.npy"
    with pytest.raises(
        FileError, match=r"rows.jsonl: changed while it was read; pass overwrite=True to begin"
    ):
        run(embedder, rows, output)
    assert not output.exists()


@pytest.mark.parametrize("output", ["out.parquet", "out.arrow"])
def test_columns_that_cannot_be_written(embedder: StaticEmbedder, tmp_path: Path, output: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a", "x": {}}\n')
    if output == "out.arrow":  # which can hold a struct without fields
        assert run(embedder, path, tmp_path / output) == Counts(1, 0, 0)
        return
    with pytest.raises(FileError, match=r"^the columns cannot be written \(.*'x'.*\); leave out the one"):
        run(embedder, path, tmp_path / output)


def test_large_columns_make_small_parts(embedder: StaticEmbedder, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    row = json.dumps({"text": "a", "other": "x" * 1_000_000})
    path.write_text(f"{row}\n" * 40)
    parts = list(cut_parts(open_source(path).read, lambda _: None, 1000))
    assert sum(map(len, parts)) == 40
    assert max(map(len, parts)) <= 20
