"""LanceDB's registry: a table that embeds what is added and asked, and one reopened from disk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frameworks import ANSWERS, DOCUMENTS, cosine, in_fresh_process, need
from portvec import StaticEmbedder
from portvec.errors import SourceError

need("lancedb")

import lancedb
from lancedb.embeddings import get_registry
from lancedb.pydantic import LanceModel, Vector

import portvec.integrations.lancedb  # noqa: F401  registers


def create(source: object, **options: Any) -> Any:
    return get_registry().get("portvec").create(source=str(source), **options)


def schema(function: Any) -> Any:
    class Row(LanceModel):
        text: str | None = function.SourceField(default=None)
        vector: Vector(function.ndims()) | None = function.VectorField(default=None)  # type: ignore[valid-type]

    return Row


@pytest.fixture
def database(bundled: Path, tmp_path: Path) -> Path:
    connection = lancedb.connect(tmp_path / "db")
    table = connection.create_table("docs", schema=schema(create(bundled, threads=1)))
    table.add([{"text": text} for text in DOCUMENTS])
    return tmp_path / "db"


def best(table: Any, question: str) -> dict[str, Any]:
    (row,) = table.search(question).distance_type("cosine").limit(1).to_list()
    return dict(row)


def test_vectors_are_those_of_the_embedder(bundled: Path) -> None:
    function = create(bundled)
    rows = StaticEmbedder.load(bundled).encode(DOCUMENTS[:9])
    assert function.ndims() == 256
    np.testing.assert_array_equal(np.array(function.compute_source_embeddings(DOCUMENTS[:9])), rows)
    np.testing.assert_array_equal(function.compute_query_embeddings(DOCUMENTS[0])[0], rows[0])


def test_index_search_and_reopen(database: Path, bundled: Path) -> None:
    table = lancedb.connect(database).open_table("docs")
    for question, answer in ANSWERS.items():
        row = best(table, question)
        assert row["text"] == answer
        # LanceDB's cosine distance is 1 - cosine.
        assert row["_distance"] == pytest.approx(1 - cosine(bundled, question, answer), abs=1e-5)


def test_reopened_in_another_process(database: Path) -> None:
    program = """
import sys
import lancedb
import portvec.integrations.lancedb
table = lancedb.connect(sys.argv[1]).open_table("docs")
for question in sys.argv[2:]:
    print(table.search(question).distance_type("cosine").limit(1).to_list()[0]["text"])
table.add([{"text": "The Danube flows through Vienna and Budapest."}])
print(table.search("Which river is in Vienna?").distance_type("cosine").limit(1).to_list()[0]["text"])
"""
    *found, new = in_fresh_process(program, database, *ANSWERS)
    assert found == [*ANSWERS.values()]
    assert new == "The Danube flows through Vienna and Budapest."


def test_nulls_are_left_to_the_table(database: Path) -> None:
    """A row without a vector, where LanceDB's option on_bad_vectors allows it."""
    table = lancedb.connect(database).open_table("docs")
    rows = [{"text": None}, {"text": "The Danube flows through Vienna and Budapest."}]
    table.add(rows, on_bad_vectors="null")
    (null,) = [row for row in table.to_arrow().to_pylist() if row["text"] is None]
    assert null["vector"] is None
    assert best(table, "Which river is in Vienna?")["text"].startswith("The Danube")


def test_stores_source_and_options_and_refuses_a_token(database: Path, bundled: Path) -> None:
    table = lancedb.connect(database).open_table("docs")
    (stored,) = [conf.function for conf in table.embedding_functions.values()]
    assert stored.safe_model_dump() == {"source": str(bundled), "threads": 1}
    with pytest.raises(ValueError, match="Sensitive key 'token' cannot be set to a hardcoded value"):
        create(bundled, token="hf_secret")


def test_a_token_that_is_a_variable_is_stored_by_its_name(bundled: Path, tmp_path: Path) -> None:
    get_registry().set_var("hub", "hf_secret")
    connection = lancedb.connect(tmp_path / "db")
    connection.create_table("docs", schema=schema(create(bundled, token="$var:hub")))
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"$var:hub" in stored
    assert b"hf_secret" not in stored


def test_errors_are_raised_as_they_are_and_at_once(bundled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("LanceDB retries"))
    with pytest.raises(TypeError, match="unexpected keyword argument 'devise'"):
        create(bundled, devise="cpu")
    function = create("no/such/folder")
    for call in (function.compute_source_embeddings_with_retry, function.compute_query_embeddings_with_retry):
        with pytest.raises(SourceError, match=r"^no/such/folder: no such folder"):
            call("a text")


def test_prompts(prompted: Path) -> None:
    function = get_registry().get("portvec").create(source=str(prompted))
    embedder = StaticEmbedder.load(prompted)
    documents = function.compute_source_embeddings(["a", None])
    assert np.array_equal(documents[0], embedder.encode_documents("a"))
    assert documents[1] is None
    for compute in (function.compute_query_embeddings, function.compute_query_embeddings_with_retry):
        assert np.array_equal(compute("a"), [embedder.encode_queries("a")])
