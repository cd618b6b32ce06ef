"""Parquet and Arrow: all columns keep their types, and rows without a text are named."""

from __future__ import annotations

import datetime
import decimal
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portvec._bulk.sources import BadRow, Source, fail, open_source, read_texts
from portvec.errors import FileError

pa = pytest.importorskip("pyarrow")
import pyarrow.feather as feather  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

KINDS = ["parquet", "file", "stream", "compressed"]


def write(folder: Path, table: Any, kind: str, rows: int = 1_000_000, name: str = "a") -> Path:
    """Write a table with so many rows to a row group or batch."""
    path = folder / (f"{name}.parquet" if kind == "parquet" else f"{name}.arrow")
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=rows)
    elif kind == "stream":
        with pa.ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table, rows)
    else:
        compression = "zstd" if kind == "compressed" else "uncompressed"
        feather.write_feather(table, path, compression=compression, chunksize=rows)
    return path


def back(source: Source) -> Any:
    schema = source.schema()
    batches = [block.record_batch(schema) for block in source.read(fail)]
    return pa.Table.from_batches(batches, schema)


TABLE = pa.table(
    {
        "id": pa.array([1, 2, None], pa.int32()),
        "text": ["a", "é\x1b", ""],
        "day": pa.array([datetime.date(2020, 1, 2), None, None]),
        "at": pa.array([1577836800000000001, None, 0], pa.timestamp("ns", "Europe/Berlin")),
        "local": pa.array([[1577836800000001], None, []], pa.list_(pa.timestamp("us"))),
        "time": pa.array([1, None, 2], pa.time64("ns")),
        "took": pa.array([1500, None, 0], pa.duration("ms")),
        "price": pa.array([decimal.Decimal("1.50"), None, None]),
        "raw": pa.array([b"\xff\x00", None, b""]),
        "x": pa.array([1.5, float("nan"), float("inf")]),
        "o": pa.array([{"x": float("nan"), "l": [1]}, None, {"x": 0.5, "l": None}]),
        "m": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int8())),
        "kind": pa.array(["p", "q", "p"]).dictionary_encode(),
    }
)


@pytest.mark.parametrize("kind", KINDS)
def test_columns_keep_types_and_metadata(kind: str, tmp_path: Path) -> None:
    schema = TABLE.schema.set(0, TABLE.schema.field(0).with_metadata({"unit": "none"})).with_metadata(
        {"k": "v"}
    )
    table = TABLE.cast(schema)
    source = open_source(write(tmp_path, table, kind))
    found = back(source)
    assert found.schema.field("id").metadata[b"unit"] == b"none"
    assert found.schema.metadata == {b"k": b"v"}
    assert found.schema.types == table.schema.types
    for name in table.column_names:
        assert repr(found[name].to_pylist()) == repr(table[name].to_pylist())
    assert source.rows == (None if kind == "stream" else 3)
    assert source.bytes_read == source.size


@pytest.mark.parametrize("kind", KINDS)
def test_rows_as_json(kind: str, tmp_path: Path) -> None:
    (block,) = open_source(write(tmp_path, TABLE, kind)).read(fail)
    lines = list(block.json_rows())
    assert [json.loads(line) for line in lines] == [
        {
            "id": 1,
            "text": "a",
            "day": "2020-01-02",
            "at": "2020-01-01 00:00:00.000000001Z",
            "local": ["2020-01-01 00:00:00.000001"],
            "time": "00:00:00.000000001",
            "took": 1500,
            "price": "1.50",
            "raw": "/wA=",
            "x": 1.5,
            "o": {"x": None, "l": [1]},
            "m": [["k", 1]],
            "kind": "p",
        },
        {**dict.fromkeys(TABLE.column_names), "id": 2, "text": "é\x1b", "kind": "q"},
        {
            **dict.fromkeys(TABLE.column_names),
            "text": "",
            "at": "1970-01-01 00:00:00.000000000Z",
            "local": [],
            "time": "00:00:00.000000002",
            "took": 0,
            "raw": "",
            "o": {"x": 0.5, "l": None},
            "m": [],
            "kind": "p",
        },
    ]
    assert '"é\\u001b"' in lines[1]
    assert [json.loads(line)["id"] for line in block.cut(1, 9).json_rows()] == [2, None]


TYPES = {
    "string": pa.string(),
    "large": pa.large_string(),
    "view": pa.string_view(),
    "dictionary": pa.dictionary(pa.int8(), pa.string()),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("type", TYPES)
def test_types_of_texts(type: str, kind: str, tmp_path: Path) -> None:
    if type == "view" and kind == "parquet" and int(pa.__version__.split(".")[0]) < 20:
        pytest.skip("this pyarrow does not write views to Parquet")
    texts = ["a", None, "é", "a", None]
    column = pa.array(texts).dictionary_encode() if type == "dictionary" else pa.array(texts, TYPES[type])
    path = write(tmp_path, pa.table({"n": range(5), "text": column}), kind, rows=2)
    bad: list[BadRow] = []
    source = open_source(path)
    blocks = list(source.read(bad.append))
    assert [text for block in blocks for text in block.texts] == ["a", "é", "a"]
    found = pa.Table.from_batches([block.record_batch(source.schema()) for block in blocks], source.schema())
    assert found["n"].to_pylist() == [0, 2, 3]
    assert found["text"].to_pylist() == ["a", "é", "a"]
    assert [each.message() for each in bad] == [
        f"{path}, row {row}: the text is null; give it a value" for row in (2, 5)
    ]
    with pytest.raises(FileError, match=r"row 2: the text is null; give it a value"):
        list(read_texts(open_source(path)))


@given(
    st.lists(st.tuples(st.none() | st.text(max_size=5), st.none() | st.integers(-9, 9)), max_size=30),
    st.sampled_from(KINDS),
    st.integers(1, 7),
    st.data(),
)
def test_rows_that_pyarrow_writes_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str | None, int | None]],
    kind: str,
    group: int,
    data: st.DataObject,
) -> None:
    schema = pa.schema([("text", pa.string()), ("n", pa.int64())])
    table = pa.Table.from_pylist([{"text": text, "n": n} for text, n in rows], schema)
    source = open_source(write(tmp_path_factory.mktemp("arrow"), table, kind, group))
    bad: list[BadRow] = []
    found: list[tuple[str | None, int | None]] = []
    for block in source.read(bad.append):
        cut = data.draw(st.integers(0, len(block)))
        for part in (block.cut(0, cut), block.cut(cut, len(block))):
            assert part.texts == part.record_batch(schema)["text"].to_pylist()
            found += [tuple(json.loads(row).values()) for row in part.json_rows()]
    assert found == [row for row in rows if row[0] is not None]
    assert [each.line for each in bad] == [index for index, row in enumerate(rows, 1) if row[0] is None]


def not_utf8(values: list[bytes]) -> Any:
    return pa.array(values, pa.binary()).view(pa.string())


@pytest.mark.parametrize("kind", KINDS)
def test_texts_that_are_not_utf8(kind: str, tmp_path: Path) -> None:
    table = pa.table({"text": not_utf8([b"a", b"\xff", b"c"]), "other": not_utf8([b"a", b"b", b"\xff"])})
    path = write(tmp_path, table, kind)
    source = open_source(path)
    bad: list[BadRow] = []
    (block,) = source.read(bad.append)
    assert block.texts == ["a", "c"]
    assert [each.line for each in bad] == [2]
    assert bad[0].reason.startswith(
        "the text is not UTF-8 ('utf-8' codec can't decode byte 0xff in position 0"
    )
    batch = block.record_batch(source.schema())
    assert batch["other"].view(pa.binary()).to_pylist() == [b"a", b"\xff"]
    with pytest.raises(
        FileError, match=r"a value cannot be written as JSON \(.utf-8. codec .* choose \.parquet or \.arrow"
    ):
        list(block.json_rows())


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_are_bounded(kind: str, tmp_path: Path) -> None:
    texts = ["short"] * 5000 + ["x" * 3_000_000] * 2 + ["y" * 5_000_000, "z"]
    path = write(tmp_path, pa.table({"text": texts}), kind)
    blocks = list(open_source(path).read(fail))
    assert [text for block in blocks for text in block.texts] == texts
    for block in blocks:
        assert len(block) <= 4096
        assert len(block) == 1 or sum(map(len, block.texts)) <= 4_000_000
    assert [len(block) for block in open_source(path).read(fail)] == list(map(len, blocks))


@pytest.mark.parametrize("kind", ["parquet", "file"])
def test_a_large_batch_is_not_decoded_whole(kind: str, tmp_path: Path) -> None:
    count = 500_000
    table = pa.table({"text": [f"{i}" * 5 for i in range(count)], "n": range(count)})
    path = write(tmp_path, table, kind, count)
    del table
    before = pa.total_allocated_bytes()
    most = 0
    for _ in open_source(path).read(fail):
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 12_000_000 < 16 * count * 2


def test_several_files_are_one_source(tmp_path: Path) -> None:
    for name, texts in (("b", ["c"]), ("a", ["a", "b"])):
        write(tmp_path, pa.table({"text": texts}), "parquet", name=name)
    source = open_source(tmp_path)
    assert [path.name for path in source.files] == ["a.parquet", "b.parquet"]
    assert source.rows == 3
    assert list(read_texts(source)) == ["a", "b", "c"]
    write(tmp_path, pa.table({"text": ["d"], "n": [1]}), "parquet", name="c")
    with pytest.raises(FileError) as caught:
        open_source(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'c.parquet'}: its columns are not those of {tmp_path / 'a.parquet'} (has "
        "pyarrow.Field<n: int64> where that has none); give the files one by one"
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("table", "field", "message"),
    [
        ({"a": [1]}, None, r": no column 'text', has a; give another field=\.\.\.$"),
        ({"text": [1]}, None, r": the column 'text' is int64, expected string; give another field=\.\.\.$"),
        ({"text": ["a"]}, "b", r": no column 'b', has text; give another field=\.\.\.$"),
    ],
)
def test_columns_that_are_no_texts(
    table: dict[str, Any], field: str | None, message: str, kind: str, tmp_path: Path
) -> None:
    path = write(tmp_path, pa.table(table), kind)
    with pytest.raises(FileError, match=message):
        open_source(path, field=field)


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    table = pa.table([["a"], [1], [2]], names=["text", "n", "n"])
    with pytest.raises(FileError, match=r"a\.arrow: has two columns 'n'; rename one of them$"):
        open_source(write(tmp_path, table, "file"))


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
@pytest.mark.parametrize(
    "content", [b"", b"text\na\n", b"ARROW1\0\0", b"PAR1", b"\xff\xff\xff\xff\x08\0\0\0"]
)
def test_files_of_another_kind(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    kind = "Parquet" if name == "a.parquet" else "Arrow"
    with pytest.raises(
        FileError, match=rf"{name}: cannot be read as {kind} \(.*\); make it again$"
    ) as caught:
        open_source(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_batch_that_says_it_is_larger_than_memory(tmp_path: Path) -> None:
    path = write(tmp_path, pa.table({"text": ["abc" * 100] * 50}), "compressed")
    content = path.read_bytes()
    size = (15_000).to_bytes(8, "little")  # of the texts, which stands before the compressed ones
    assert content.count(size) == 1
    path.write_bytes(content.replace(size, (1 << 50).to_bytes(8, "little")))
    with pytest.raises(FileError) as caught:
        list(open_source(path).read(fail))
    assert str(caught.value) == (
        f"{path}: is damaged, or a part of it does not fit memory (malloc of size {1 << 50} failed); make it "
        "again, in smaller parts"
    )


@pytest.mark.skipif(int(pa.__version__.partition(".")[0]) >= 26, reason="this pyarrow reads null vectors")
def test_null_vectors_that_this_pyarrow_cannot_read(tmp_path: Path) -> None:
    vectors = pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2))
    path = write(tmp_path, pa.table({"text": ["a", "b"], "vector": vectors}), "parquet")
    with pytest.raises(FileError, match=r"cannot be read as Parquet \(.*; upgrade pyarrow: 26 is the first"):
        list(open_source(path).read(fail))


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_an_error_and_not_a_crash(kind: str, tmp_path: Path) -> None:
    table = pa.table(
        {"text": [f"text {i}" for i in range(50)], "l": [[i] for i in range(50)], "s": ["x"] * 50}
    )
    path = write(tmp_path, table, kind)
    content = path.read_bytes()
    messages: list[str] = []
    for place in range(0, len(content), 3):
        for change in (0x80, 0x01, 0xFF):
            damaged = bytearray(content)
            damaged[place] ^= change
            path.write_bytes(damaged)
            try:
                source = open_source(path)
                schema = source.schema()
                for block in source.read(lambda _: None):
                    list(block.json_rows())
                    block.record_batch(schema)
            except FileError as error:
                messages.append(str(error))
    assert len(messages) > 20
    assert [message for message in messages if "\n" in message] == []
