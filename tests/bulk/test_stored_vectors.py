"""Searching in stored vectors: the same rows as an exact search, in bounded memory, and what is refused."""

from __future__ import annotations

import logging
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest

from corpus import paragraphs
from portvec import StaticEmbedder
from portvec._bulk.arrow import embed_batch, to_vectors
from portvec._bulk.provenance import Provenance
from portvec._bulk.search import search
from portvec._bulk.stored import search_stored
from portvec._bulk.vector_columns import VectorColumns
from portvec._bulk.vectors import NpyFile, VectorFile
from portvec.errors import FileError, MissingExtraError, OptionError

QUERY = "the value of a function"
ZSTD = ipc.IpcWriteOptions(compression="zstd")
Write = Callable[[Path, Any], Path]


def write_npy(folder: Path, table: Any) -> Path:
    column = table.column("embedding").combine_chunks()
    rows = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)
    np.save(folder / "rows.npy", rows)
    return folder / "rows.npy"


def write_parquet(folder: Path, table: Any) -> Path:
    pq.write_table(table, folder / "rows.parquet", row_group_size=70)
    return folder / "rows.parquet"


def write_arrow(folder: Path, table: Any, options: Any = None) -> Path:
    with ipc.new_file(folder / "rows.arrow", table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=70)
    return folder / "rows.arrow"


def write_stream(folder: Path, table: Any, options: Any = None) -> Path:
    with ipc.new_stream(folder / "rows.arrow", table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=70)
    return folder / "rows.arrow"


WRITERS: dict[str, Write] = {
    "npy": write_npy,
    "parquet": write_parquet,
    "arrow": write_arrow,
    "arrow, compressed": lambda folder, table: write_arrow(folder, table, ZSTD),
    "stream": write_stream,
    "stream, compressed": lambda folder, table: write_stream(folder, table, ZSTD),
}
WITH_COLUMNS = [name for name in WRITERS if name != "npy"]


@pytest.fixture
def embedder(tiny: Path) -> StaticEmbedder:
    return StaticEmbedder.load(tiny)


@pytest.fixture
def texts() -> list[str]:
    return paragraphs(300)


def embed(embedder: StaticEmbedder, texts: list[str | None], **options: Any) -> Any:
    """Return a table of texts and their embeddings."""
    batch = pa.record_batch({"text": pa.array(texts, pa.string())})
    return pa.Table.from_batches([embed_batch(embedder, batch, **options)])


def table_of(rows: npt.NDArray[np.float32], **columns: Any) -> Any:
    return pa.table({**columns, "embedding": to_vectors(rows)})


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("fixed_size", [True, False])
def test_the_rows_are_those_of_a_search_that_embeds_the_texts(
    embedder: StaticEmbedder, texts: list[str], tmp_path: Path, name: str, fixed_size: bool
) -> None:
    path = WRITERS[name](tmp_path, embed(embedder, [*texts], fixed_size=fixed_size))
    given = texts if name == "npy" else None
    assert search_stored(embedder, path, QUERY, 9, texts=given) == search(embedder, texts, QUERY, 9)


@pytest.mark.parametrize("name", WRITERS)
def test_float16_finds_the_same_rows(
    embedder: StaticEmbedder, texts: list[str], tmp_path: Path, name: str
) -> None:
    path = WRITERS[name](tmp_path, embed(embedder, [*texts], dtype="float16"))
    hits, expected = search_stored(embedder, path, QUERY, 5), search(embedder, texts, QUERY, 5)
    assert [hit.position for hit in hits] == [hit.position for hit in expected]
    np.testing.assert_allclose([hit.score for hit in hits], [hit.score for hit in expected], atol=1e-3)


@pytest.mark.parametrize("name", ["npy", "parquet", "arrow"])
def test_equal_vectors_keep_the_order_of_the_rows_over_many_blocks(
    embedder: StaticEmbedder, tmp_path: Path, name: str
) -> None:
    """The scores are those of float64, and each of the nearest 50 vectors stands at three places."""
    rows = np.random.default_rng(0).normal(size=(60_001, embedder.dim)).astype(np.float32)
    rows = np.concatenate([rows, rows[::-1], rows])
    wide, query = rows.astype(np.float64), embedder.encode(QUERY).astype(np.float64)
    cosines = (wide * query).sum(axis=1) / np.linalg.norm(wide, axis=1) / np.linalg.norm(query)
    nearest = np.argsort(-cosines, kind="stable")[:150]
    hits = search_stored(embedder, WRITERS[name](tmp_path, table_of(rows)), QUERY, 150)
    assert [hit.position for hit in hits] == nearest.tolist()
    np.testing.assert_allclose([hit.score for hit in hits], cosines[nearest], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", WITH_COLUMNS)
@pytest.mark.parametrize("fixed_size", [True, False])
def test_null_and_zero_vectors_score_0(
    embedder: StaticEmbedder, tmp_path: Path, name: str, fixed_size: bool
) -> None:
    rows = np.stack([-embedder.encode(QUERY), np.zeros(embedder.dim, np.float32), embedder.encode(QUERY)])
    rows = np.concatenate([rows, rows[:1]])
    missing = np.array([False, False, False, True])
    table = pa.table({"embedding": to_vectors(rows, fixed_size=fixed_size, missing=missing)})
    path = WRITERS[name](tmp_path, table)
    if name == "parquet" and fixed_size and int(pa.__version__.partition(".")[0]) < 26:
        with pytest.raises(
            FileError, match=r"; upgrade pyarrow: 26 is the first that reads null vectors of "
        ):
            search_stored(embedder, path, QUERY, 9)
        return
    hits = search_stored(embedder, path, QUERY, 9)
    assert [hit.position for hit in hits] == [2, 1, 3, 0]
    assert [hit.score for hit in hits] == pytest.approx([1, 0, 0, -1], abs=1e-12)


def test_a_query_without_known_tokens_scores_0_everywhere(embedder: StaticEmbedder, tmp_path: Path) -> None:
    path = write_npy(tmp_path, embed(embedder, ["the value", "return", "file"]))
    hits = search_stored(embedder, path, "", 2)
    assert [(hit.score, hit.position) for hit in hits] == [(0, 0), (0, 1)]


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_magnitudes_whose_squares_float32_cannot_hold(
    embedder: StaticEmbedder, tmp_path: Path, scale: float
) -> None:
    rows = embedder.encode(["file", QUERY, "return"]) * np.float32(scale)
    (hit,) = search_stored(embedder, write_npy(tmp_path, table_of(rows)), QUERY, 1)
    assert hit.position == 1
    assert hit.score == pytest.approx(1, abs=1e-6)


def test_rows_of_a_folder_follow_each_other(
    embedder: StaticEmbedder, texts: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "rows"
    (folder / "b.parquet").mkdir(parents=True)  # as Spark calls a folder
    (folder / "_temporary").mkdir()
    write_parquet(tmp_path, embed(embedder, [*texts[:100]])).rename(folder / "a.parquet")
    write_arrow(tmp_path, embed(embedder, [*texts[100:250]])).rename(folder / "b.parquet" / "0.arrow")
    write_stream(tmp_path, embed(embedder, [*texts[250:]])).rename(folder / "c.arrow")
    (folder / "_SUCCESS").touch()
    (folder / "_temporary" / "half.parquet").touch()
    (folder / ".a.parquet.crc").touch()
    assert search_stored(embedder, folder, QUERY, 20) == search(embedder, texts, QUERY, 20)


@pytest.mark.parametrize("name", WITH_COLUMNS)
def test_columns_are_those_that_the_file_names(embedder: StaticEmbedder, tmp_path: Path, name: str) -> None:
    table = embed(embedder, ["file", QUERY]).rename_columns(["passage", "vector"])
    named = table.replace_schema_metadata(Provenance.of(embedder, "passage", "vector").metadata())
    (hit,) = search_stored(embedder, WRITERS[name](tmp_path, named), QUERY, 1)
    assert hit.text == QUERY
    path = WRITERS[name](tmp_path, named.drop_columns("passage"))
    (hit,) = search_stored(embedder, path, QUERY, 1)
    assert (hit.position, hit.text) == (1, None)
    path = WRITERS[name](tmp_path, table)
    (hit,) = search_stored(embedder, path, QUERY, 1, vector_field="vector")
    assert (hit.position, hit.text) == (1, None)  # there is no column "text", and none is asked for
    (hit,) = search_stored(embedder, path, QUERY, 1, field="passage", vector_field="vector")
    assert hit.text == QUERY


@pytest.mark.parametrize("name", WITH_COLUMNS)
@pytest.mark.parametrize("kind", [pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_texts_may_be_null_and_of_any_type_of_text(
    embedder: StaticEmbedder, tmp_path: Path, name: str, kind: Any
) -> None:
    texts = pa.array(["file", None, QUERY], pa.string()).cast(kind)
    rows = embedder.encode(["file", QUERY, QUERY])
    hits = search_stored(embedder, WRITERS[name](tmp_path, table_of(rows, text=texts)), QUERY, 3)
    assert [(hit.position, hit.text) for hit in hits] == [(1, None), (2, QUERY), (0, "file")]


def test_texts_of_another_place_are_those_of_the_rows(embedder: StaticEmbedder, tmp_path: Path) -> None:
    path = write_parquet(tmp_path, embed(embedder, ["file", QUERY]))
    (hit,) = search_stored(embedder, path, QUERY, 1, texts=iter(["one", "two"]))
    assert hit.text == "two"
    for texts, number in ([], 0), (["one", "two", "three"], 3):
        with pytest.raises(
            FileError, match=rf"rows.parquet: holds 2 vectors, but there are {number} texts; "
        ):
            search_stored(embedder, path, QUERY, 1, texts=texts)


def test_memory_is_that_of_a_block(embedder: StaticEmbedder, tmp_path: Path) -> None:
    """A Parquet row group of 80 MB is read in parts. An Arrow file is mapped."""
    rows = np.random.default_rng(0).normal(size=(80_000, 256)).astype(np.float32)
    table = table_of(rows, text=["x" * 50] * len(rows))
    pq.write_table(table, tmp_path / "rows.parquet")
    limits = {tmp_path / "rows.parquet": 24 << 20, write_arrow(tmp_path, table): 0}
    del table
    for path, limit in limits.items():
        before, most, count = pa.total_allocated_bytes(), 0, 0
        for block in VectorColumns(path).vectors(256):
            most, count = max(most, pa.total_allocated_bytes() - before), count + len(block)
        assert count == len(rows)
        assert most <= limit


def numbered(embedder: StaticEmbedder, count: int = 1) -> npt.NDArray[np.float32]:
    return np.ones((count, embedder.dim), np.float32)


def test_vectors_of_another_dimension(embedder: StaticEmbedder, tmp_path: Path) -> None:
    rows = np.ones((3, 5), np.float32)
    wrong = (
        f"holds vectors of dimension 5, and the model's have {embedder.dim}; give the model that made them"
    )
    for name in WRITERS:
        path = WRITERS[name](tmp_path, table_of(rows))
        with pytest.raises(FileError, match=rf"^{path}: {wrong}$"):
            search_stored(embedder, path, QUERY, 1)
    lists = pa.array([[1.0] * embedder.dim, None, [1.0] * 5], pa.list_(pa.float32()))
    path = write_parquet(tmp_path, pa.table({"embedding": lists}))
    with pytest.raises(FileError, match=wrong):
        search_stored(embedder, path, QUERY, 1)


def test_columns_that_are_missing_or_something_else(embedder: StaticEmbedder, tmp_path: Path) -> None:
    path = write_parquet(tmp_path, table_of(numbered(embedder), text=["a"], number=[1]))
    refused = {
        ("vector_field", "vector"): "no column 'vector', has text, number, embedding; "
        "give another vector_field=...",
        ("vector_field", "text"): "the column 'text' is string, expected lists of float or halffloat; "
        "give another vector_field=...",
        ("field", "title"): "no column 'title', has text, number, embedding; give another field=...",
        ("field", "number"): "the column 'number' is int64, expected string; give another field=...",
    }
    for (option, value), message in refused.items():
        with pytest.raises(FileError) as caught:
            search_stored(embedder, path, QUERY, 1, **{option: value})
        assert str(caught.value) == f"{path}: {message}"
    doubles = pa.table({"embedding": pa.array([[1.0]], pa.list_(pa.float64()))})
    with pytest.raises(FileError, match=r"the column 'embedding' is list<.*double>, expected lists of float"):
        search_stored(embedder, write_arrow(tmp_path, doubles), QUERY, 1)
    twice = pa.Table.from_arrays([pa.array(["a"])] * 2, names=["embedding", "embedding"])
    with pytest.raises(FileError, match="more than one column 'embedding', has embedding, embedding; give"):
        search_stored(embedder, write_stream(tmp_path, twice), QUERY, 1)


@pytest.mark.parametrize("name", WRITERS)
def test_files_without_rows_have_no_hits(embedder: StaticEmbedder, tmp_path: Path, name: str) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.zeros((0, embedder.dim), np.float32))
    if name != "npy":
        path = WRITERS[name](tmp_path, table_of(numbered(embedder)).slice(0, 0))
    assert search_stored(embedder, path, QUERY, 3) == []


@pytest.mark.parametrize("name", WRITERS)
def test_damaged_files(embedder: StaticEmbedder, texts: list[str], tmp_path: Path, name: str) -> None:
    """Whatever a file is cut or changed to, it is refused in one line, or searched."""
    path = WRITERS[name](tmp_path, embed(embedder, [*texts]))
    data = path.read_bytes()
    generator = np.random.default_rng(1)
    refused = 0
    for size in [0, 1, 5, 6, 8, 100, len(data) // 2, len(data) - 1]:
        path.write_bytes(data[:size])
        refused += is_refused(embedder, path)
    assert refused >= 7  # a stream that lacks its last byte may be whole
    for _ in range(60):
        damaged = bytearray(data)
        for place in generator.integers(0, len(data), 8):
            damaged[place] = generator.integers(256)
        path.write_bytes(damaged)
        is_refused(embedder, path)


@pytest.mark.parametrize("name", ["rows.parquet", "rows.arrow"])
def test_files_of_another_kind(embedder: StaticEmbedder, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"text\na\n")
    kind = {".parquet": "Parquet", ".arrow": "Arrow"}[Path(name).suffix]
    with pytest.raises(
        FileError, match=rf"^{tmp_path / name}: cannot be read as {kind} \(.*\); make it again$"
    ):
        search_stored(embedder, tmp_path / name, QUERY, 1)


@pytest.mark.parametrize("name", WITH_COLUMNS)
def test_names_of_columns_that_are_not_utf8(embedder: StaticEmbedder, tmp_path: Path, name: str) -> None:
    path = WRITERS[name](tmp_path, table_of(numbered(embedder), other=["a"]))
    path.write_bytes(path.read_bytes().replace(b"other", b"\xffther"))
    with pytest.raises(FileError, match=rf"^{path}: cannot be read as .* \('utf-8' codec can't decode "):
        search_stored(embedder, path, QUERY, 1)


@pytest.mark.parametrize("name", WITH_COLUMNS)
def test_metadata_that_nests_too_deeply(embedder: StaticEmbedder, tmp_path: Path, name: str) -> None:
    table = table_of(numbered(embedder)).replace_schema_metadata({"portvec": "[" * 200_000})
    path = WRITERS[name](tmp_path, table)
    with pytest.raises(FileError, match=rf"^{path}: cannot be read as .* \(.* while decoding a JSON array"):
        search_stored(embedder, path, QUERY, 1)


def is_refused(embedder: StaticEmbedder, path: Path) -> bool:
    try:
        search_stored(embedder, path, QUERY, 3)
    except FileError as error:
        message = str(error)
    else:
        return False
    assert message.startswith(str(path))
    assert "\n" not in message
    return True


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.ones((2, 3, 4), np.float32), r"float32 of shape \(2, 3, 4\)"),
        (np.ones(4, np.float32), r"float32 of shape \(4,\)"),
        (np.ones((2, 4)), r"float64 of shape \(2, 4\)"),
        (np.ones((2, 4), np.int8), r"int8 of shape \(2, 4\)"),
    ],
)
def test_arrays_that_are_no_vectors(
    embedder: StaticEmbedder, tmp_path: Path, array: npt.NDArray[Any], found: str
) -> None:
    np.save(tmp_path / "rows.npy", array)
    with pytest.raises(FileError, match=rf"holds {found}, expected float32 or float16 of shape \(n, dim\); "):
        search_stored(embedder, tmp_path / "rows.npy", QUERY, 1)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("exploded",)


def test_pickles_are_not_loaded(
    embedder: StaticEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "rows.npy"
    np.save(path, np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(FileError, match=rf"^{path}: not a .npy file of numbers \(.*Python objects in dtype"):
        search_stored(embedder, path, QUERY, 1)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(FileError, match=rf"^{path}: not a .npy file of numbers \("):
        search_stored(embedder, path, QUERY, 1)
    assert not (tmp_path / "exploded").exists()
    np.load(tmp_path / "rows.npy", allow_pickle=True)
    assert (tmp_path / "exploded").exists()  # it would have


@pytest.mark.parametrize("order", [">f4", "<f2", ">f2"])
def test_arrays_in_any_byte_order(embedder: StaticEmbedder, tmp_path: Path, order: str) -> None:
    rows = embedder.encode(["file", QUERY]).astype(order)
    np.save(tmp_path / "rows.npy", np.asfortranarray(rows))
    (hit,) = search_stored(embedder, tmp_path / "rows.npy", QUERY, 1)
    assert hit.position == 1
    assert hit.score == pytest.approx(1, abs=1e-3)


def test_vectors_that_have_no_cosine(embedder: StaticEmbedder, tmp_path: Path) -> None:
    for bad in (np.nan, np.inf):
        rows = numbered(embedder, 5)
        rows[3, 1] = bad
        for name in ("npy", "parquet"):
            path = WRITERS[name](tmp_path, table_of(rows))
            with pytest.raises(FileError) as caught:
                search_stored(embedder, path, QUERY, 1)
            assert str(caught.value) == (
                f"{path}, row 3: the vector holds NaN or infinity; correct it, or embed the text again"
            )
    lists = pa.array([[1.0] * (embedder.dim - 1) + [None]], pa.list_(pa.float32()))
    path = write_parquet(tmp_path, pa.table({"embedding": lists}))
    with pytest.raises(FileError, match=r"a vector in the rows 0 to 0 holds null; correct it"):
        search_stored(embedder, path, QUERY, 1)


def test_vectors_of_another_model(
    embedder: StaticEmbedder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = embed(embedder, ["file", QUERY])
    made = Provenance.of(embedder, "text", "embedding")
    other = made._replace(model="acme/other", manifest_sha256="0123456789abcdef")
    path = write_parquet(tmp_path, table.replace_schema_metadata(other.metadata()))
    with pytest.raises(FileError) as caught:
        search_stored(embedder, path, QUERY, 1)
    assert str(caught.value) == (
        f"{path}: its vectors are from acme/other (manifest 0123456789ab), which is not the model given, "
        f"{made.model} (manifest {made.manifest_sha256[:12]}); give that model, or embed the texts again"
    )
    assert not caplog.records
    again = made._replace(manifest_sha256="0123456789abcdef")
    path = tmp_path / "folder" / "0.parquet"
    path.parent.mkdir()
    for copy in ("1.parquet", "0.parquet"):
        pq.write_table(table.replace_schema_metadata(again.metadata()), path.with_name(copy))
    with caplog.at_level(logging.WARNING, "portvec"):
        assert search_stored(embedder, path.parent, QUERY, 1)[0].text == QUERY
    assert caplog.messages == [
        f"{path}: its vectors are from another export of {made.model}, with the manifest 0123456789ab; "
        "scores may differ if it was exported with other options"
    ]


def test_paths_that_hold_no_vectors(embedder: StaticEmbedder, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "rows.csv").touch()
    refused = {
        "missing.npy": "cannot be read (No such file or directory)",
        "missing": "cannot be read (No such file or directory)",
        "rows.csv": "unknown suffix for vectors, expected .npy, .parquet or .arrow, or a folder",
        "empty": "has no .parquet or .arrow file; give another folder, or a file",
    }
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.arrow")
        refused["pipe.arrow"] = "cannot be read (not a regular file)"
    for name, message in refused.items():
        with pytest.raises(FileError) as caught:
            search_stored(embedder, tmp_path / name, QUERY, 1)
        assert str(caught.value) == f"{tmp_path / name}: {message}"


def test_columns_of_a_file_that_has_none(embedder: StaticEmbedder, tmp_path: Path) -> None:
    path = write_npy(tmp_path, table_of(numbered(embedder)))
    for option in ("field", "vector_field"):
        with pytest.raises(
            OptionError, match=rf"^{path}: a .npy file has no columns; leave out {option}='a'$"
        ):
            search_stored(embedder, path, QUERY, 1, **{option: "a"})


def test_only_npy_needs_no_pyarrow(
    embedder: StaticEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "portvec._bulk.vector_columns")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    np.save(tmp_path / "rows.npy", embedder.encode(["file", QUERY]))
    assert search_stored(embedder, tmp_path / "rows.npy", QUERY, 1)[0].position == 1
    (tmp_path / "rows.parquet").touch()
    with pytest.raises(MissingExtraError) as caught:
        search_stored(embedder, tmp_path / "rows.parquet", QUERY, 1)
    assert str(caught.value) == (
        f"{tmp_path / 'rows.parquet'}: needs pyarrow, which cannot be imported (import of pyarrow halted; "
        "None in sys.modules); run pip install 'portvec[bulk]'"
    )


def test_both_kinds_of_file_have_one_interface(embedder: StaticEmbedder, tmp_path: Path) -> None:
    table = embed(embedder, ["file", QUERY])
    files: list[VectorFile] = [
        NpyFile(write_npy(tmp_path, table)),
        VectorColumns(write_parquet(tmp_path, table)),
    ]
    first, second = (np.concatenate(list(file.vectors(embedder.dim))) for file in files)
    np.testing.assert_array_equal(first, second)
