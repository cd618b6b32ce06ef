"""DuckDB: a function of SQL over tables and Parquet files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines import assert_embedded, count_loads, need_engine, rows, write_files
from portvec import StaticEmbedder
from portvec.errors import OptionError, SourceError

need_engine("duckdb")

import duckdb

from portvec.integrations.duckdb import register


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        yield connection


def test_parquet_to_parquet(connection: duckdb.DuckDBPyConnection, bundled: Path, tmp_path: Path) -> None:
    table = rows(20_000)
    folder = write_files(table, tmp_path / "texts")
    register(connection, bundled)
    connection.execute(
        f"COPY (SELECT *, portvec(text) AS embedding FROM '{folder}/*.parquet') TO '{tmp_path}/out.parquet'"
    )
    written = connection.sql(f"FROM '{tmp_path}/out.parquet'").to_arrow_table()
    assert written["id"].to_pylist() == list(range(len(table)))
    assert_embedded(written, table, bundled)


def test_null_and_types(connection: duckdb.DuckDBPyConnection, bundled: Path) -> None:
    register(connection, bundled, name="embed_text", threads=2)
    query = "SELECT embed_text(t), typeof(embed_text(t)) FROM (VALUES ('a text'), (NULL)) AS v(t)"
    (vector, kind), (missing, _) = connection.execute(query).fetchall()
    assert (kind, missing) == ("FLOAT[256]", None)
    np.testing.assert_allclose(vector, StaticEmbedder.load(bundled).encode("a text"), atol=1e-6)
    assert connection.execute("SELECT embed_text(NULL)").fetchone() == (None,)
    empty = connection.execute("SELECT embed_text(t) FROM (VALUES ('a')) AS v(t) WHERE t = 'b'")
    assert empty.fetchall() == []


def test_searches_by_cosine(connection: duckdb.DuckDBPyConnection, bundled: Path) -> None:
    register(connection, bundled)
    connection.execute(
        "CREATE TABLE docs AS SELECT unnest(['Bread is baked from flour.', 'Rain falls.']) AS t"
    )
    query = "SELECT t FROM docs ORDER BY array_cosine_similarity(portvec(t), portvec(?)) DESC LIMIT 1"
    assert connection.execute(query, ["How is bread made?"]).fetchone() == ("Bread is baked from flour.",)


def test_prompts(connection: duckdb.DuckDBPyConnection, prompted: Path) -> None:
    register(connection, prompted)
    register(connection, prompted, name="portvec_query", prompt_name="query")
    found = connection.execute("SELECT portvec('the value'), portvec_query('the value')").fetchone()
    embedder = StaticEmbedder.load(prompted)
    expected = [embedder.encode_documents("the value"), embedder.encode_queries("the value")]
    assert not np.allclose(expected[0], expected[1])
    assert found is not None
    np.testing.assert_allclose(np.array(found), np.array(expected), atol=1e-6)
    with pytest.raises(OptionError, match=r"^prompt_name 'querry' is unknown, expected one of query, docu"):
        register(connection, prompted, name="other", prompt_name="querry")


def test_the_model_is_loaded_once(
    connection: duckdb.DuckDBPyConnection, bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = shutil.copytree(bundled, tmp_path / "artifact")  # which no other test has loaded
    loads = count_loads(monkeypatch)
    register(connection, artifact)
    folder = write_files(rows(), tmp_path / "texts")
    connection.execute(f"SELECT count(portvec(text)) FROM '{folder}/*.parquet'").fetchall()
    assert loads == [(str(artifact),)]


def test_errors_name_what_was_got(connection: duckdb.DuckDBPyConnection, bundled: Path) -> None:
    register(connection, bundled)
    taken = r"^name is 'portvec', which DuckDB does not take \(.*\); give another name=..., or call "
    with pytest.raises(OptionError, match=taken + r"connection.remove_function\('portvec'\) first$"):
        register(connection, bundled)
    half: Any = "float16"
    with pytest.raises(OptionError, match=r"^dtype is 'float16', but vectors in DuckDB are float32$"):
        register(connection, bundled, name="half", dtype=half)
    with pytest.raises(SourceError, match=r"^no/such/folder: no such folder"):
        register(connection, "no/such/folder", name="other")
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'devise'"):
        register(connection, bundled, name="other", devise="cpu")
    with pytest.raises(duckdb.BinderException, match=r"portvec\(VARCHAR\)"):
        connection.execute("SELECT portvec(3)")
