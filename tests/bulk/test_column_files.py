"""Reading some of a Parquet or Arrow file: row groups, columns, and the rows that are needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from portvec.errors import FileError

pa = pytest.importorskip("pyarrow")
import pyarrow.ipc as ipc  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from portvec._bulk.column_files import Batch, ColumnFile, open_column_file  # noqa: E402

FORMATS = ["parquet", "arrow", "stream"]


def write(folder: Path, format: str, table: Any, rows: int = 4, compression: str | None = None) -> Path:
    """Write a table with so many rows to a row group or batch."""
    path = folder / f"rows.{format}"
    if format == "parquet":
        pq.write_table(table, path, row_group_size=rows, compression=compression or "none")
        return path
    new = ipc.new_file if format == "arrow" else ipc.new_stream
    with new(path, table.schema, options=ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table, rows)
    return path


def numbers(batches: list[Batch]) -> list[list[int]]:
    """Return the numbers of each batch, after a check that they are those of its rows."""
    found = [batch.rows.column("n").to_pylist() for batch in batches]
    assert [batch.first for batch in batches] == [values[0] for values in found]
    return found


def open_rows(folder: Path, format: str) -> ColumnFile:
    """Open ten rows in groups of four: 0 to 3, 4 to 7, 8 and 9."""
    path = write(folder, format, pa.table({"n": range(10), "text": [f"{n}" for n in range(10)]}))
    return open_column_file(path, "parquet" if format == "parquet" else "arrow")


@pytest.mark.parametrize("format", FORMATS)
def test_batches_follow_each_other_to_the_end_of_the_file(format: str, tmp_path: Path) -> None:
    file = open_rows(tmp_path, format)
    batches = list(file.batches(100))
    assert numbers(batches) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [batch.rows.schema.names for batch in batches] == [["n", "text"]] * 3
    positions = [batch.position for batch in batches]
    assert positions == sorted(set(positions))
    assert file.size - 8 <= positions[-1] <= file.size == file.path.stat().st_size  # a stream has an end mark
    assert file.count_rows() == (None if format == "stream" else 10)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_columns_are_those_that_are_chosen(format: str, compression: str | None, tmp_path: Path) -> None:
    table = pa.table({"n": [1, 2], "text": ["a", "b"], "x": [0.5, 1.5]})
    path = write(tmp_path, format, table, compression=compression)
    file = open_column_file(path, "parquet" if format == "parquet" else "arrow")
    (batch,) = file.batches(100, ["x", "n"])
    assert batch.rows.to_pydict() == {"x": [0.5, 1.5], "n": [1, 2]}
    assert batch.rows.schema.names == ["x", "n"]


@pytest.mark.parametrize("format", FORMATS)
def test_only_columns_that_are_chosen_are_decompressed(format: str, tmp_path: Path) -> None:
    table = pa.table({"n": range(10), "text": ["x" * 1_000_000] * 10})
    path = write(tmp_path, format, table, 5, "zstd")
    del table
    file = open_column_file(path, "parquet" if format == "parquet" else "arrow")
    list(file.batches(100, ["n"]))  # the first batch shows that columns are compressed
    before, most = pa.total_allocated_bytes(), 0
    for _ in file.batches(100, ["n"]):
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 1_000_000
    for _ in file.batches(100, ["text"]):
        most = max(most, pa.total_allocated_bytes() - before)
    assert most > 1_000_000


def test_parquet_is_read_by_as_many_rows_as_are_asked_for(tmp_path: Path) -> None:
    file = open_rows(tmp_path, "parquet")
    assert numbers(list(file.batches(3))) == [[0, 1, 2], [3], [4, 5, 6], [7], [8, 9]]


@pytest.mark.parametrize(
    ("needed", "expected"),
    [
        ([1, 9], [[0, 1, 2], [3], [8, 9]]),
        (range(3, 4), [[0, 1, 2], [3]]),
        (range(4, 9), [[4, 5, 6], [7], [8, 9]]),
        (range(4, 8), [[4, 5, 6], [7]]),
        ([], []),
        (range(8, 8), []),
        (range(10, 20), []),
    ],
)
def test_row_groups_without_a_row_that_is_needed_are_left_out(
    needed: Sequence[int], expected: list[list[int]], tmp_path: Path
) -> None:
    file = open_rows(tmp_path, "parquet")
    batches = list(file.batches(3, ["n"], needed=needed))
    assert numbers(batches) == expected
    if expected and expected[-1][-1] == 9:
        assert batches[-1].position == file.size


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_a_file_that_goes_away_after_it_was_opened(format: str, tmp_path: Path) -> None:
    file = open_rows(tmp_path, format)
    file.path.unlink()
    with pytest.raises(FileError, match=rf"^{file.path}: cannot be read as {format.title()} \(.*\); make it"):
        list(file.batches(100))
