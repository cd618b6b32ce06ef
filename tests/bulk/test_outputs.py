"""Files of embeddings: what they hold, and going on with one."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from portvec._bulk.outputs.ipc import IpcWriter
from portvec._bulk.outputs.jsonl import JsonlWriter
from portvec._bulk.outputs.npy import NpyWriter
from portvec._bulk.outputs.parquet import ParquetWriter
from portvec._bulk.outputs.tables import Columns
from portvec._bulk.outputs.thrift import Walk, encode_integer, encode_list, join, read_list
from portvec._bulk.outputs.writer import OpenWriter
from portvec._bulk.parts import Part
from portvec._bulk.provenance import Provenance
from portvec._bulk.sources import Block

DIM = 5
PROVENANCE = Provenance("owner/name", "f" * 64, "text", "embedding")
SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), metadata={"unit": "none"}),
        ("text", pa.large_string()),
        ("day", pa.date32()),
        ("tags", pa.list_(pa.struct([("a", pa.int32()), ("flag", pa.bool_())]))),
        ("embedding_of_another", pa.list_(pa.float32(), 2)),
        ("price", pa.decimal128(9, 2)),
        ("kind", pa.dictionary(pa.int8(), pa.string())),
        ("nothing", pa.null()),
    ],
    metadata={"owner": "nobody"},
)


class Rows:
    """A block of rows, of which the first has the number `first`."""

    def __init__(self, first: int, count: int) -> None:
        self.numbers = range(first, first + count)
        self.texts = [f"text {number} \u2028" for number in self.numbers]

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def size(self) -> int:
        return sum(map(len, self.texts))

    def cut(self, start: int, stop: int) -> Rows:
        part = self.numbers[start:stop]
        return Rows(part.start, len(part))

    def json_rows(self) -> Iterator[str]:
        for number, text in zip(self.numbers, self.texts, strict=True):
            yield json.dumps({"id": number, "text": text})

    def record_batch(self, schema: Any) -> Any:
        rows = [
            {
                "id": number,
                "text": text,
                "day": number,
                "tags": [{"a": number, "flag": True}] * (number % 3),
                "embedding_of_another": [number, 0.5],
                "price": number,
                "kind": "odd" if number % 2 else "even",
            }
            for number, text in zip(self.numbers, self.texts, strict=True)
        ]
        return pa.RecordBatch.from_pylist(rows, schema)


def parts() -> list[tuple[Part, np.ndarray]]:
    """Return parts of several blocks each, and one without rows."""
    random = np.random.default_rng(0)
    found = []
    first = 0
    for counts in ([3, 4], [1], [], [1000], [2, 2]):
        blocks: list[Block] = []
        for count in counts:
            blocks.append(Rows(first, count))
            first += count
        found.append((Part(blocks), random.standard_normal((sum(counts), DIM), dtype=np.float32)))
    return found


def columns(**options: Any) -> Columns:
    return Columns(SCHEMA, DIM, PROVENANCE, **{"dtype": "float32", "fixed_size": True, **options})


def opener(suffix: str, **options: Any) -> OpenWriter:
    if suffix == ".npy":
        return lambda file, notes: NpyWriter(file, notes, dim=DIM, dtype=options.get("dtype", "float32"))
    if suffix == ".jsonl":
        name = PROVENANCE.embedding
        return lambda file, notes: JsonlWriter(
            file, notes, embedding=name, dtype=options.get("dtype", "float32")
        )
    writer: Any = {".parquet": ParquetWriter, ".arrow": IpcWriter}[suffix]
    options = {"dictionaries": suffix == ".parquet", **options}
    return lambda file, notes: writer(file, notes, columns=columns(**options))


def write(path: Path, open_writer: OpenWriter, written: list[tuple[Part, np.ndarray]]) -> list[Any]:
    """Write a whole file, and return the notes, which went through JSON."""
    with path.open("w+b") as file:
        writer = open_writer(file, [])
        notes = [json.loads(json.dumps(writer.write(part, rows))) for part, rows in written]
        writer.finish()
    return notes


def expected_table(**options: Any) -> Any:
    return pa.concat_tables([columns(**options).table(part, rows) for part, rows in parts()]).combine_chunks()


FORMATS = pytest.mark.parametrize("suffix", [".npy", ".jsonl", ".parquet", ".arrow"])


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_npy(tmp_path: Path, dtype: str) -> None:
    write(tmp_path / "a.npy", opener(".npy", dtype=dtype), parts())
    rows = np.load(tmp_path / "a.npy", mmap_mode="r")
    np.testing.assert_array_equal(rows, np.concatenate([rows for _, rows in parts()]).astype(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_json_lines_have_all_fields_and_the_shortest_numbers(
    tmp_path: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = np.concatenate([rows for _, rows in parts()]).astype(dtype)
    written = [(part, rows.astype(np.float32)) for part, rows in parts()]
    for has_orjson in (True, False):
        if not has_orjson:
            monkeypatch.setitem(__import__("sys").modules, "orjson", None)
        write(tmp_path / "a.jsonl", opener(".jsonl", dtype=dtype), written)
        lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").split("\n")
        assert lines.pop() == ""
        objects = list(map(json.loads, lines))
        assert list(objects[0]) == ["id", "text", "embedding"]
        assert [each["id"] for each in objects] == list(range(len(whole)))
        np.testing.assert_array_equal(np.array([each["embedding"] for each in objects], dtype), whole)
        numbers = lines[0][lines[0].index("[") + 1 : -2].split(",")
        assert list(map(float, numbers)) == [float(str(np.float32(number))) for number in whole[0]]


@pytest.mark.parametrize("options", [{}, {"dtype": "float16"}, {"fixed_size": False}])
def test_parquet(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "a.parquet"
    write(path, opener(".parquet", **options), parts())
    table = pq.read_table(path)
    table.validate(full=True)
    expected = expected_table(**options)
    # Some versions of pyarrow call the items of lists "element".
    assert table.combine_chunks().cast(expected.schema).equals(expected)
    assert table.schema.metadata == columns().schema.metadata
    assert table.schema.field("id").metadata[b"unit"] == b"none"
    assert Provenance.read(table.schema.metadata) == PROVENANCE
    assert table.schema.metadata[b"owner"] == b"nobody"
    meta = pq.read_metadata(path)
    assert [meta.row_group(index).num_rows for index in range(meta.num_row_groups)] == [7, 1, 1000, 4]
    assert meta.num_rows == 1012
    ids, texts = (meta.row_group(2).column(index) for index in range(2))
    assert (ids.statistics.min, ids.statistics.max) == (8, 1007)
    assert texts.compression == "ZSTD"
    vectors = meta.row_group(2).column(meta.num_columns - 1)
    assert (vectors.compression, vectors.is_stats_set) == ("UNCOMPRESSED", False)
    # Each row group can be read alone, and by others.
    assert pq.ParquetFile(path).read_row_group(3, ["id"])["id"].to_pylist() == [1008, 1009, 1010, 1011]
    read = pl.read_parquet(path, columns=["id", "embedding"])
    assert read["id"].to_list() == list(range(1012))
    np.testing.assert_array_equal(
        np.array(read["embedding"].to_list(), dtype=np.float32),
        np.concatenate([rows for _, rows in parts()]).astype(options.get("dtype", "float32")),
    )


@pytest.mark.parametrize("options", [{}, {"dtype": "float16"}, {"fixed_size": False}])
def test_arrow_files_can_be_mapped(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "a.arrow"
    write(path, opener(".arrow", **options), parts())
    with pa.memory_map(str(path)) as mapped:
        before = pa.total_allocated_bytes()
        table = pa.ipc.open_file(mapped).read_all()
        assert pa.total_allocated_bytes() == before
        assert table.combine_chunks().equals(expected_table(dictionaries=False, **options))
        assert table.schema.equals(columns(dictionaries=False, **options).schema, check_metadata=True)
    assert pyarrow.feather.read_table(path, columns=["id"])["id"].to_pylist() == list(range(1012))


@FORMATS
def test_a_file_without_rows(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    for written in ([], [(Part(), np.zeros((0, DIM), np.float32))]):
        write(path, opener(suffix), written)
        match suffix:
            case ".npy":
                assert np.load(path).shape == (0, DIM)
            case ".jsonl":
                assert path.read_bytes() == b""
            case ".parquet":
                table = pq.read_table(path)
                assert len(table) == 0
                assert table.schema.names == columns().schema.names
                assert Provenance.read(table.schema.metadata) == PROVENANCE
            case _:
                assert len(pyarrow.feather.read_table(path)) == 0


@FORMATS
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_going_on_after_any_part_gives_the_same_bytes(tmp_path: Path, suffix: str, dtype: str) -> None:
    whole, path = tmp_path / f"whole{suffix}", tmp_path / f"a{suffix}"
    write(whole, opener(suffix, dtype=dtype), parts())
    for done in range(len(parts()) + 1):
        with path.open("w+b") as file:
            writer = opener(suffix, dtype=dtype)(file, [])
            notes = [json.loads(json.dumps(writer.write(part, rows))) for part, rows in parts()[:done]]
            file.flush()
            size = file.tell() if done else 0
            if done < len(parts()):  # the next part is lost half way
                writer.write(*parts()[done])
                file.flush()
            shutil.copy(path, tmp_path / "killed")
        with (tmp_path / "killed").open("r+b") as file:
            file.truncate(size)
            file.seek(size)
            writer = opener(suffix, dtype=dtype)(file, notes)
            for part, rows in parts()[done:]:
                writer.write(part, rows)
            writer.finish()
        assert (tmp_path / "killed").read_bytes() == whole.read_bytes()


class TestParquetMetadata:
    """What is written by hand is what pyarrow writes."""

    def footer(self, tables: list[Any], **options: Any) -> bytes:
        """Return the footer of a Parquet file with a row group for each table."""
        sink = io.BytesIO()
        with pq.ParquetWriter(sink, tables[0].schema, **options) as writer:
            for table in tables:
                writer.write_table(table, row_group_size=len(table))
        content = sink.getvalue()
        size = int.from_bytes(content[-8:-4], "little")
        return content[-8 - size : -8]

    def test_footers_are_read_to_the_last_bit(self) -> None:
        table = columns().table(Part([Rows(0, 500)]), np.ones((500, DIM), np.float32))
        for options in ({}, {"write_page_index": True}, {"compression": "gzip"}, {"version": "1.0"}):
            footer = self.footer([table] * 20, **options)
            assert join(Walk(footer).fields()) == footer

    def test_integers_and_lists(self) -> None:
        for value in (0, 1, -1, 63, -64, 64, 2**31, -(2**31), 2**62, -(2**62)):
            assert Walk(encode_integer(value)).integer() == value
        for count in (0, 1, 14, 15, 16, 300):
            elements = [encode_integer(number) for number in range(count)]
            assert read_list(encode_list(elements, 6)) == elements

    def test_a_type_that_metadata_does_not_have_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"^a field of type 11, which the metadata of Parquet files"):
            list(Walk(b"\x1b\x00\x00").fields())

    @pytest.mark.parametrize("rows", [1, 2, 100, 3000])
    @pytest.mark.parametrize("dim", [1, 2, 24, 256, 3072])
    @pytest.mark.parametrize("dtype", ["float32", "float16"])
    @pytest.mark.parametrize("fixed_size", [True, False])
    def test_embeddings_of_any_shape(
        self, tmp_path: Path, rows: int, dim: int, dtype: Any, fixed_size: bool
    ) -> None:
        made = Columns(SCHEMA, dim, PROVENANCE, dtype=dtype, fixed_size=fixed_size)
        vectors = np.random.default_rng(dim).standard_normal((rows, dim), dtype=np.float32)
        with (tmp_path / "a.parquet").open("w+b") as file:
            writer = ParquetWriter(file, [], columns=made)
            writer.write(Part([Rows(0, rows)]), vectors)
            writer.write(Part([Rows(rows, rows)]), -vectors)
            writer.finish()
        table = pq.read_table(tmp_path / "a.parquet")
        table.validate(full=True)
        assert table.schema.field("embedding").type == made.schema.field("embedding").type
        for part, expected in ((table[:rows], vectors), (table[rows:], -vectors)):
            found = part["embedding"].combine_chunks().flatten().to_numpy().reshape(rows, dim)
            np.testing.assert_array_equal(found, expected.astype(dtype))
        meta = pq.read_metadata(tmp_path / "a.parquet").row_group(1)
        sizes = [meta.column(index).total_uncompressed_size for index in range(meta.num_columns)]
        assert sum(sizes) == meta.total_byte_size
        # pyarrow's own metadata of the same column, apart from how it lays out pages.
        sink = io.BytesIO()
        pq.write_table(table[rows:], sink, compression="none", use_dictionary=False, write_statistics=False)
        own = meta.column(meta.num_columns - 1).to_dict()
        theirs = pq.read_metadata(sink).row_group(0).column(meta.num_columns - 1).to_dict()
        for name in ("physical_type", "num_values", "path_in_schema", "compression", "is_stats_set"):
            assert own[name] == theirs[name]
