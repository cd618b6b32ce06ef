"""Rows with their embeddings in a real Milvus Lite, and searching there."""

from __future__ import annotations

import datetime
import decimal
import logging
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpus import paragraphs
from portvec import StaticEmbedder
from portvec._bulk.arrow import embed_batch, to_vectors
from portvec._bulk.milvus.searching import search_milvus
from portvec._bulk.milvus.target import parse_target
from portvec._bulk.milvus.writing import MilvusCollection
from portvec._bulk.search import search
from portvec.errors import FileError, MissingExtraError, OptionError

TEXT = pa.schema({"text": pa.string()})


@pytest.fixture(scope="module")
def embedder(bundled: Path) -> StaticEmbedder:
    return StaticEmbedder.load(bundled)


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of Milvus Lite for all tests of this module. Its server ends with the process."""
    return str(tmp_path_factory.mktemp("milvus") / "rows.db")


@pytest.fixture
def name() -> str:
    """A collection that no other test uses."""
    return f"docs_{uuid.uuid4().hex}"


@pytest.fixture
def client(lite: str) -> Iterator[Any]:
    from pymilvus import MilvusClient

    with closing(MilvusClient(lite)) as client:
        yield client


def open_collection(lite: str, name: str, schema: Any = TEXT, **options: Any) -> MilvusCollection:
    options = {"text": "text", "vector": "embedding", "dim": 4, **options}
    return MilvusCollection.open(lite, name, schema=schema, **options)


def batch_of(vectors: Any = None, **columns: Any) -> Any:
    """Return a batch with embeddings of dimension 4."""
    batch = pa.record_batch(columns)
    rows = np.ones((len(batch), 4), np.float32) if vectors is None else np.array(vectors, np.float32)
    schema = batch.schema.append(pa.field("embedding", to_vectors(rows).type))
    return pa.RecordBatch.from_arrays([*batch.columns, to_vectors(rows)], schema=schema)


def store(lite: str, name: str, batch: Any, **options: Any) -> None:
    with closing(open_collection(lite, name, batch.schema, **options)) as collection:
        collection.upsert(batch, 0)


def read_all(client: Any, name: str) -> list[dict[str, Any]]:
    client.load_collection(name)
    rows: list[dict[str, Any]] = list(client.query(name, filter="", limit=1000, output_fields=["*"]))
    return [{field: value for field, value in row.items() if field != "embedding"} for row in rows]


def count(client: Any, name: str) -> int:
    return int(client.query(name, output_fields=["count(*)"])[0]["count(*)"])


def test_neighbours_are_exact_and_a_repeated_run_changes_nothing(
    embedder: StaticEmbedder, lite: str, client: Any, name: str
) -> None:
    texts = paragraphs(3000)
    batch = pa.record_batch({"text": pa.array(texts)})
    hits = []
    for part in (1000, 700):  # the second run reads other batches, as after another --batch
        with closing(open_collection(lite, name, dim=embedder.dim)) as collection:
            for start in range(0, len(texts), part):
                collection.upsert(embed_batch(embedder, batch.slice(start, part)), start)
        assert count(client, name) == len(texts)
        hits.append(search_milvus(lite, name, embedder.encode("return the current thread"), 10))
    assert [(hit.id, hit.text) for hit in hits[0]] == [(hit.id, hit.text) for hit in hits[1]]
    # A vector of another batch may differ in its last bit.
    np.testing.assert_allclose([hit.score for hit in hits[0]], [hit.score for hit in hits[1]], atol=1e-6)
    expected = search(embedder, texts, "return the current thread", 10)
    np.testing.assert_allclose([hit.score for hit in hits[0]], [hit.score for hit in expected], atol=1e-5)
    assert {hit.id for hit in hits[0]} == {hit.position for hit in expected}
    assert all(texts[int(hit.id)] == hit.text for hit in hits[0])


@pytest.mark.parametrize(
    ("metric", "rows", "scores"),
    [
        ("COSINE", [[3, 0, 0, 0], [3, 4, 0, 0]], [1, 0.6]),
        ("IP", [[6, 8, 0, 0], [3, 0, 0, 0]], [6, 3]),
        ("L2", [[1, 2, 0, 0], [2, 2, 1, 0]], [4, 6]),
    ],
)
def test_metrics(lite: str, name: str, metric: str, rows: list[list[int]], scores: list[float]) -> None:
    store(lite, name, batch_of(rows, text=["first", "second"]), metric=metric)
    hits = search_milvus(lite, name, np.array([1, 0, 0, 0], np.float32), 5)
    assert [(hit.id, hit.text) for hit in hits] == [(0, "first"), (1, "second")]
    assert [hit.score for hit in hits] == pytest.approx(scores)


def test_a_column_may_be_the_primary_key(lite: str, client: Any, name: str) -> None:
    keys = batch_of(text=["a", "b"], id=["x", "y"])
    store(lite, name, keys, id_field="id")
    store(lite, name, batch_of(text=["c", "d"], id=["y", "z"]), id_field="id")
    assert read_all(client, name) == [
        {"id": "x", "text": "a"},
        {"id": "y", "text": "c"},
        {"id": "z", "text": "d"},
    ]
    (hit,) = search_milvus(lite, name, np.ones(4, np.float32), 1)
    assert hit.id in ("x", "y", "z")


def test_a_primary_key_of_another_name(lite: str, client: Any, name: str) -> None:
    store(lite, name, batch_of(text=["a", "b"], number=pa.array([7, 2**40], pa.uint64())), id_field="number")
    assert read_all(client, name) == [{"number": 7, "text": "a"}, {"number": 2**40, "text": "b"}]
    assert {hit.id for hit in search_milvus(lite, name, np.ones(4, np.float32), 2)} == {7, 2**40}


def test_primary_keys_that_are_refused(lite: str, name: str) -> None:
    def refuse(columns: dict[str, Any], id_field: str | None) -> str:
        with pytest.raises(OptionError) as caught:
            open_collection(lite, name, pa.schema(columns), id_field=id_field)
        return str(caught.value)

    columns = {"text": pa.string(), "id": pa.int64(), "weight": pa.float32()}
    assert refuse(columns, None) == (
        f"{lite}/{name}: the source has a column 'id', the name of the field for row numbers; give "
        "id_field='id' to let the column be the primary key, or rename it"
    )
    assert refuse(columns, "key") == (
        f"{lite}/{name}: no column 'key', has text, id, weight; give another id_field=..."
    )
    assert refuse(columns, "weight") == (
        f"{lite}/{name}: a primary key is an integer or a string, and the column 'weight' is neither; give "
        "another id_field=..."
    )


@pytest.mark.parametrize("keys", [["x", "y", "x"], [1, 2, 1]])
def test_two_rows_with_the_same_key(lite: str, client: Any, name: str, keys: list[Any]) -> None:
    with pytest.raises(FileError) as caught:
        store(lite, name, batch_of(text=["a", "b", "c"], key=keys), id_field="key")
    assert str(caught.value) == (
        f"{lite}/{name}, row 2: the primary key 'key' is {keys[0]!r}, as in row 0; give another "
        "id_field=..., or leave out one of the rows"
    )
    assert count(client, name) == 0
    with pytest.raises(FileError, match="row 1: the column 'key' is null, which the field does not take; "):
        store(lite, name, batch_of(text=["a", "b"], key=[keys[0], None]), id_field="key")


def test_types_and_nulls(lite: str, client: Any, name: str) -> None:
    berlin = datetime.timezone(datetime.timedelta(hours=1))
    moment = datetime.datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=berlin)
    struct = pa.struct({"name": pa.string(), "when": pa.date32(), "size": pa.decimal128(6, 2)})
    columns = {
        "text": pa.array(["a", None], pa.large_string()),
        "tiny": pa.array([-128, None], pa.int8()),
        "big": pa.array([2**63 - 1, None], pa.uint64()),
        "half": pa.array([np.float16(0.5), None], pa.float16()),
        "single": pa.array([0.25, None], pa.float32()),
        "double": pa.array([0.1, None], pa.float64()),
        "flag": pa.array([True, None]),
        "label": pa.array(["x", None]).dictionary_encode(),
        "date": pa.array([moment.date(), None]),
        "time": pa.array([moment.time(), None]),
        "local": pa.array([moment.replace(tzinfo=None), None], pa.timestamp("s")),
        "moment": pa.array([moment, None], pa.timestamp("us", "UTC")),
        "nanos": pa.array([1, None], pa.timestamp("ns")),
        "price": pa.array([decimal.Decimal("1.50"), None]),
        "tags": pa.array([["x", None], None], pa.list_(pa.string())),
        "person": pa.array(
            [{"name": "ß", "when": moment.date(), "size": decimal.Decimal("2.50")}, None], struct
        ),
        "nested": pa.array([[[1], []], None], pa.list_(pa.list_(pa.int64()))),
        "nothing": pa.nulls(2),
    }
    store(lite, name, batch_of(**columns))
    first, second = read_all(client, name)
    assert first == {
        "id": 0,
        "text": "a",
        "tiny": -128,
        "big": 2**63 - 1,
        "half": 0.5,
        "single": 0.25,
        "double": 0.1,
        "flag": True,
        "label": "x",
        "date": "2024-01-02",
        "time": "03:04:05.000678",
        "local": "2024-01-02T03:04:05",
        "moment": "2024-01-02T02:04:05.000678Z",
        "nanos": "1970-01-01T00:00:00.000000001",
        "price": "1.50",
        "tags": ["x", None],
        "person": {"name": "ß", "when": "2024-01-02", "size": "2.50"},
        "nested": [[1], []],
        "nothing": None,
    }
    assert second == {"id": 1, **dict.fromkeys(columns)}


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        (pa.array([b"x"]), "binary"),
        (pa.array([datetime.timedelta(1)]), r"duration\[us\]"),
        (pa.array([[b"x"]]), r"list<.*: binary>"),
        (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), r"map<string, int64>"),
    ],
)
def test_columns_that_milvus_has_no_type_for(lite: str, name: str, column: Any, shown: str) -> None:
    schema = pa.schema({"text": pa.string(), "odd": column.type})
    with pytest.raises(FileError) as caught:
        open_collection(lite, name, schema)
    assert str(caught.value) == (
        f"{lite}/{name}: Milvus has no type for the column 'odd', which is {column.type}; leave it out, or "
        "cast it to string"
    )


@pytest.mark.parametrize("field", ["a b", "ä", "1a", "", "a" * 256, "$meta"])
def test_names_that_milvus_refuses(lite: str, name: str, field: str) -> None:
    with pytest.raises(FileError) as caught:
        open_collection(lite, name, pa.schema({"text": pa.string(), field: pa.string()}))
    assert str(caught.value) == (
        f"{lite}/{name}: Milvus takes no field named {field!r}, because a name has letters, digits and _ "
        "only, and no digit first; rename the column"
    )


def test_a_source_without_the_column_of_texts(lite: str, name: str) -> None:
    with pytest.raises(FileError, match=rf"/{name}: no column 'title', has text; give another field=...$"):
        open_collection(lite, name, text="title")


def test_a_name_that_milvus_keeps_for_itself(lite: str, client: Any, name: str) -> None:
    with pytest.raises(FileError, match=rf"/{name}: Milvus reports an error \(field name 'iso' is reserved"):
        open_collection(lite, name, pa.schema({"text": pa.string(), "iso": pa.string()}))
    assert not client.has_collection(name)


def test_values_that_no_field_holds_name_their_row_and_are_not_sent(
    lite: str, client: Any, name: str
) -> None:
    long = "ä" * 32_768  # 65,536 bytes
    batch = batch_of(
        text=["a", long, "c"],
        number=pa.array([2**63 - 1, 0, 2**63], pa.uint64()),
        tags=[["x"], ["x" * 65_600], None],
    )
    messages = {
        "text": "row 11: the column 'text' has 65,536 bytes, and a field holds 65,535; cut the text into "
        "passages, or leave the column out",
        "number": "row 12: the column 'number' is more than 9223372036854775807; cast it to string",
        "tags": "row 11: the column 'tags' has more than 65,536 bytes of JSON, which is all that a field "
        "holds; cut it",
    }
    text = ["a", "b" * 65_535, "c"]
    for column, message in messages.items():
        columns = {"text": text, column: batch.column(column)}
        rows = batch_of(**columns)
        with closing(open_collection(lite, f"{name}_{column}", rows.schema)) as collection:
            with pytest.raises(FileError) as caught:
                collection.upsert(rows, 10)
            assert str(caught.value) == f"{lite}/{name}_{column}, {message}"
        assert count(client, f"{name}_{column}") == 0
    store(lite, name, batch_of(text=text))
    assert [len(row["text"]) for row in read_all(client, name)] == [1, 65_535, 1]


def test_a_text_without_an_embedding_is_found_last(lite: str, name: str) -> None:
    vectors = to_vectors(np.ones((2, 4), np.float32), missing=np.array([True, False]))
    store(lite, name, pa.record_batch({"text": pa.array([None, "b"]), "embedding": vectors}))
    hits = search_milvus(lite, name, np.ones(4, np.float32), 5)
    assert [(hit.id, hit.text, hit.score) for hit in hits] == [(1, "b", pytest.approx(1)), (0, None, 0)]


@pytest.mark.parametrize("fixed_size", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_embeddings_of_any_layout(lite: str, client: Any, name: str, dtype: Any, fixed_size: bool) -> None:
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    vectors = to_vectors(rows, dtype, fixed_size=fixed_size)
    batch = pa.record_batch({"text": pa.array(["a", "b", "c"]), "embedding": vectors})
    store(lite, name, batch.slice(1))
    found = client.query(name, filter="", limit=10, output_fields=["embedding"])
    np.testing.assert_array_equal([row["embedding"] for row in found], rows[1:])


def make(client: Any, name: str, metric: str | None = "COSINE", **changes: Any) -> None:
    """Create a collection that fits, but for the changes: the type and options of a field, or None."""
    from pymilvus import DataType

    fields: dict[str, Any] = {
        "id": ("INT64", {"is_primary": True}),
        "text": ("VARCHAR", {"max_length": 20, "nullable": True}),
        "embedding": ("FLOAT_VECTOR", {"dim": 4}),
    }
    dynamic = changes.pop("dynamic", False)
    schema = client.create_schema(auto_id=changes.pop("auto_id", False), enable_dynamic_field=dynamic)
    for field, what in {**fields, **changes}.items():
        if what is not None:
            schema.add_field(field, DataType[what[0]], **what[1])
    index = None
    if metric is not None:
        index = client.prepare_index_params()
        index.add_index("embedding", index_type="AUTOINDEX", metric_type=metric)
    client.create_collection(name, schema=schema, index_params=index)


def test_existing_collections_that_fit(lite: str, client: Any, name: str) -> None:
    batch = batch_of(text=["a", "b"], number=pa.array([1, 2], pa.int16()))
    make(client, name, number=("INT32", {}), spare=("INT8", {"nullable": True}))
    store(lite, name, batch)
    assert read_all(client, name)[1] == {"id": 1, "text": "b", "number": 2, "spare": None}
    make(client, f"{name}_dynamic", dynamic=True)
    store(lite, f"{name}_dynamic", batch)
    assert read_all(client, f"{name}_dynamic")[1] == {"id": 1, "text": "b", "number": 2}
    make(client, f"{name}_bare", metric=None, number=("INT64", {}))
    store(lite, f"{name}_bare", batch, metric="IP")
    assert client.describe_index(f"{name}_bare", "embedding")["metric_type"] == "IP"
    with pytest.raises(FileError, match="row 0: the column 'text' has 21 bytes, and a field holds 20; "):
        store(lite, name, batch_of(text=["x" * 21], number=pa.array([1], pa.int16())))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"embedding": ("FLOAT_VECTOR", {"dim": 5})},
            "its vectors are 'embedding' of dimension 5, expected 'embedding' of dimension 4; ",
        ),
        (
            {"embedding": None, "metric": None, "vector": ("FLOAT_VECTOR", {"dim": 4})},
            "its vectors are 'vector' of dimension 4, expected 'embedding' of dimension 4; ",
        ),
        (
            {"embedding": None, "metric": None, "sparse": ("SPARSE_FLOAT_VECTOR", {})},
            "its vectors are none, expected 'embedding' of dimension 4; ",
        ),
        ({"metric": "IP"}, "its metric is IP, expected COSINE; give metric='IP', "),
        ({"text": None}, "has no field for the column 'text', has id, embedding; "),
        ({"text": ("INT64", {})}, "its field 'text' is INT64, expected VARCHAR; "),
        (
            {"id": ("VARCHAR", {"is_primary": True, "max_length": 20})},
            "its field 'id' is VARCHAR, expected INT64; ",
        ),
        (
            {"id": None, "pk": ("INT64", {"is_primary": True})},
            "its primary key is 'pk', expected 'id'; give another id_field=..., ",
        ),
        ({"auto_id": True}, "Milvus sets its primary key 'id', so that a repeated run adds rows; "),
        ({"rank": ("INT64", {})}, "its field 'rank' takes no null, and the source has no such column; "),
    ],
)
def test_existing_collections_that_do_not_fit(
    lite: str, client: Any, name: str, changes: dict[str, Any], problem: str
) -> None:
    make(client, name, **changes)
    before = client.describe_collection(name)
    with pytest.raises(FileError) as caught:
        open_collection(lite, name)
    assert str(caught.value) == (
        f"{lite}/{name}: exists, and {problem}give another collection, or replace it with overwrite=True"
    )
    assert client.describe_collection(name) == before


def test_an_existing_collection_is_replaced_if_asked(lite: str, client: Any, name: str) -> None:
    make(client, name, embedding=("FLOAT_VECTOR", {"dim": 5}))
    client.upsert(name, [{"id": 7, "text": "old", "embedding": [1.0] * 5}])
    store(lite, name, batch_of(text=["a"]), overwrite=True)
    assert read_all(client, name) == [{"id": 0, "text": "a"}]


def test_nulls_for_a_field_that_takes_none(lite: str, client: Any, name: str) -> None:
    make(client, name, text=("VARCHAR", {"max_length": 20}))
    with pytest.raises(FileError) as caught:
        store(lite, name, batch_of(text=["a", None]))
    assert str(caught.value) == (
        f"{lite}/{name}, row 1: the column 'text' is null, which the field does not take; fill it in, or let "
        "the field be nullable (Milvus 2.5, or milvus-lite 3)"
    )


def grpc_error(state: str) -> Exception:
    import grpc

    class Failure(grpc.RpcError):  # type: ignore[misc]
        def code(self) -> Any:
            return grpc.StatusCode[state]

        def details(self) -> str:
            return f"the server says\n{state}"

    return Failure()


def milvus_error(**options: Any) -> Exception:
    from pymilvus import MilvusException

    error: Exception = MilvusException(message="the server says no", **options)
    return error


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Let requests to a real Milvus Lite fail with these errors first."""
    from pymilvus import MilvusClient

    errors: list[Exception] = []
    upsert = MilvusClient.upsert

    def upsert_or_fail(*arguments: Any, **options: Any) -> Any:
        if errors:
            raise errors.pop(0)
        return upsert(*arguments, **options)

    monkeypatch.setattr(MilvusClient, "upsert", upsert_or_fail)
    yield errors.extend
    assert not errors


def test_a_request_is_sent_again_if_the_server_is_away_or_busy(
    lite: str, client: Any, name: str, fail: Any
) -> None:
    import grpc

    waits: list[float] = []
    with closing(open_collection(lite, name, sleep=waits.append)) as collection:
        fail([grpc_error("UNAVAILABLE"), grpc_error("DEADLINE_EXCEEDED"), milvus_error(code=8)])
        collection.upsert(batch_of(text=["a", "b"]), 0)
        assert waits == [1, 2, 4]
        fail([milvus_error(code=grpc.StatusCode.UNAVAILABLE)])
        collection.upsert(batch_of(text=["c"]), 2)
        assert waits == [1, 2, 4, 1]
    assert [row["text"] for row in read_all(client, name)] == ["a", "b", "c"]


def test_a_request_is_not_sent_again_for_ever(lite: str, client: Any, name: str, fail: Any) -> None:
    waits: list[float] = []
    collection = open_collection(lite, name, sleep=waits.append)
    fail([grpc_error("UNAVAILABLE")] * 5)
    with pytest.raises(FileError) as caught:
        collection.upsert(batch_of(text=["a"]), 0)
    assert str(caught.value) == f"{lite}/{name}: Milvus reports an error (the server says UNAVAILABLE)"
    assert waits == [1, 2, 4, 8]
    collection.close()


def test_other_errors_are_raised_at_once(lite: str, client: Any, name: str, fail: Any) -> None:
    with closing(open_collection(lite, name, sleep=pytest.fail)) as collection:
        for error in (
            milvus_error(code=6),
            grpc_error("PERMISSION_DENIED"),
            ValueError("the server says no"),
        ):
            fail([error])
            with pytest.raises(FileError, match=rf"/{name}: Milvus reports an error \(the server says "):
                collection.upsert(batch_of(text=["a"]), 0)


def test_large_batches_are_sent_in_parts(
    lite: str, client: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymilvus import MilvusClient

    sent = []
    upsert = MilvusClient.upsert

    def count_rows(self: Any, collection: str, rows: list[Any], **options: Any) -> Any:
        sent.append((len(rows), sum(len(row["text"]) for row in rows)))
        return upsert(self, collection, rows, **options)

    monkeypatch.setattr(MilvusClient, "upsert", count_rows)
    texts = [*["x"] * 1000, *["y" * 60_000] * 1000]
    store(lite, name, batch_of(text=texts))
    assert sum(rows for rows, _ in sent) == count(client, name) == 2000
    assert max(size for _, size in sent) < 16 << 20
    assert len(sent) < 8


def test_the_size_of_a_dictionary_is_not_that_of_each_row(
    lite: str, client: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymilvus import MilvusClient

    sent = []
    upsert = MilvusClient.upsert

    def count_rows(self: Any, collection: str, rows: list[Any], **options: Any) -> Any:
        sent.append(len(rows))
        return upsert(self, collection, rows, **options)

    monkeypatch.setattr(MilvusClient, "upsert", count_rows)
    texts = pa.array([f"{number:060000}" for number in range(300)]).dictionary_encode()  # 18 MB
    store(lite, name, batch_of(text=texts.take(pa.array([0, 1, 2, 3] * 25))))
    assert sent == [100]


def test_nulls_where_milvus_lite_has_no_field_for_them(
    lite: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portvec._bulk.milvus import client

    monkeypatch.setattr(client, "version", lambda _: "2.5.1")
    with pytest.raises(FileError, match=r"row 1: the column 'text' is null, which the field does not take; "):
        store(lite, name, batch_of(text=["a", None]))


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("milvus:rows.db/docs", ("rows.db", "docs")),
        ("milvus:./rows.db/docs", ("./rows.db", "docs")),
        ("milvus:/data/all rows.db/docs_2", ("/data/all rows.db", "docs_2")),
        ("rows.db/docs", ("rows.db", "docs")),
        ("milvus:http://localhost:19530/docs", ("http://localhost:19530", "docs")),
        ("milvus:https://host/db/docs", ("https://host/db", "docs")),
        ("milvus:http://me:p@ss/word@host:1/docs", ("http://me:p@ss/word@host:1", "docs")),
    ],
)
def test_targets(target: str, parts: tuple[str, str]) -> None:
    assert parse_target(target) == parts


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("milvus:docs", "docs: expected URI/COLLECTION, where the URI is a file of Milvus Lite, such as "),
        ("milvus:rows.db", "rows.db: expected URI/COLLECTION"),
        ("milvus:rows.db/", "rows.db/: '' is no name of a collection, which has letters, digits and _ only"),
        ("milvus:rows.db/my docs", "rows.db/my docs: 'my docs' is no name of a collection"),
        ("milvus:rows.sqlite/docs", "rows.sqlite/docs: expected URI/COLLECTION"),
        ("milvus:ftp://host/rows.db/docs", "ftp://host/rows.db/docs: expected URI/COLLECTION"),
        ("milvus:http:///docs", "http:///docs: expected URI/COLLECTION"),
        ("milvus:http://me:secret@host", "http://host: expected URI/COLLECTION"),
        ("milvus:http://me:secret@host/", "http://host/: '' is no name of a collection"),
        ("milvus:http://me:secret@host/a-b", "http://host/a-b: 'a-b' is no name of a collection"),
        ("milvus:http://host/me:secret@b", "http://b: expected URI/COLLECTION"),
    ],
)
def test_targets_that_are_none(target: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_target(target)
    assert str(caught.value).startswith(message)
    assert "secret" not in str(caught.value)


def test_an_unknown_metric(lite: str, name: str) -> None:
    with pytest.raises(OptionError, match=r"^metric 'cosine' is unknown, expected one of COSINE, IP, L2$"):
        open_collection(lite, name, metric="cosine")


def test_a_server_that_is_not_there(caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    from pymilvus import MilvusClient

    with pytest.MonkeyPatch.context() as patch:
        connect = MilvusClient.__init__
        patch.setattr(MilvusClient, "__init__", lambda *args, **options: connect(*args, **options, timeout=1))
        with pytest.raises(FileError) as caught:
            open_collection("http://me:secret@127.0.0.1:9", "docs")
    assert str(caught.value).startswith("http://127.0.0.1:9: cannot be opened (Fail connecting to server on ")
    assert str(caught.value).endswith("); check the address and the credentials")
    output = capfd.readouterr()
    assert "secret" not in str(caught.value) + output.out + output.err + caplog.text
    assert "Traceback" not in output.err


def test_credentials_of_a_uri_become_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    import pymilvus

    taken = []

    class Client:
        def __init__(self, uri: str, token: str) -> None:
            taken.append((uri, token))
            raise ValueError("no")

    monkeypatch.setattr(pymilvus, "MilvusClient", Client)
    for token in (None, "mine"):
        with pytest.raises(FileError, match=r"^https://host:1: cannot be opened \(no\); check "):
            open_collection("https://me:p%40ss@host:1", "docs", token=token)
    assert taken == [("https://host:1", "me:p@ss"), ("https://host:1", "mine")]


def test_files_that_cannot_be_opened(tmp_path: Path, capfd: Any) -> None:
    (tmp_path / "file.db").write_text("no database")
    for uri in (tmp_path / "missing" / "rows.db", tmp_path / "file.db"):
        with pytest.raises(FileError) as caught:
            open_collection(str(uri), "docs")
        assert str(caught.value).startswith(f"{uri}: cannot be opened (Open local milvus failed")
        assert str(caught.value).endswith("); is its folder there, and has no other process opened it?")
    assert "Traceback" not in capfd.readouterr().err


def test_what_cannot_be_searched(
    embedder: StaticEmbedder, lite: str, client: Any, name: str, tmp_path: Path
) -> None:
    def refuse(uri: str, collection: str, dim: int = 4, **options: Any) -> str:
        with pytest.raises(FileError) as caught:
            search_milvus(uri, collection, np.ones(dim, np.float32), 3, **options)
        return str(caught.value)

    missing = tmp_path / "missing.db"
    assert refuse(str(missing), "docs") == (
        f"{missing}: no such file of Milvus Lite; give the one that the rows were written to"
    )
    assert not missing.exists()
    shown = f"{lite}/{name}"
    store(lite, "docs", batch_of(text=["a"]))
    assert refuse(lite, name).startswith(f"{shown}: no such collection, has ")
    make(client, name)
    assert refuse(lite, name, dim=5) == (
        f"{shown}: holds vectors of dimension 4, and the model's have 5; give the model that made them"
    )
    assert refuse(lite, name, vector_field="text") == (
        f"{shown}: no field of float vectors 'text', has embedding; give another vector_field=..."
    )
    assert refuse(lite, name, field="title") == (
        f"{shown}: no field 'title', has id, text, embedding; give another field=..."
    )
    assert search_milvus(lite, name, np.ones(4, np.float32), 3) == []


def test_a_collection_without_float_vectors(lite: str, client: Any, name: str) -> None:
    make(client, name, metric=None, embedding=None, sparse=("SPARSE_FLOAT_VECTOR", {}))
    with pytest.raises(FileError) as caught:
        search_milvus(lite, name, np.ones(4, np.float32), 3)
    assert str(caught.value) == (
        f"{lite}/{name}: expected one field of float vectors, has none; give vector_field=..., or another "
        "collection"
    )


def test_texts_of_another_field_and_none(lite: str, name: str) -> None:
    batch = batch_of(title=["a"], body=["b"])
    store(lite, name, batch, text="body")
    query = np.ones(4, np.float32)
    assert search_milvus(lite, name, query, 1)[0].text is None
    assert search_milvus(lite, name, query, 1, field="body", vector_field="embedding")[0].text == "b"


@pytest.mark.usefixtures("client")  # imports pymilvus, which sets the level of its logger
def test_loggers_of_milvus_are_left_as_they_were(lite: str, name: str) -> None:
    level = logging.getLogger("pymilvus").level
    open_collection(lite, name).close()
    assert logging.getLogger("pymilvus").level == level


@pytest.mark.parametrize("package", ["pymilvus", "milvus_lite"])
def test_a_missing_package_names_the_extra(lite: str, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError) as caught:
        open_collection(lite, "docs")
    assert str(caught.value) == (
        f"Milvus needs {package}, which cannot be imported (import of {package} halted; None in "
        "sys.modules); run pip install 'portvec[milvus]'"
    )
