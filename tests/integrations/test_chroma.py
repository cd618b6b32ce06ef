"""PortvecEmbeddingFunction in a Chroma database on disk: queried, and reopened by another process."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frameworks import ANSWERS, DOCUMENTS, cosine, in_fresh_process, need
from portvec import StaticEmbedder
from portvec.errors import InputError, SourceError

need("chromadb")

import chromadb
from chromadb.utils.embedding_functions import known_embedding_functions

from portvec.integrations.chroma import PortvecEmbeddingFunction

IDS = [f"document {i}" for i in range(len(DOCUMENTS))]


def create(folder: Path, artifact: Path) -> Path:
    """Make a database with a collection that embeds with an artifact."""
    client = chromadb.PersistentClient(str(folder))
    # Chroma's annotations ask for a function that also takes images, which its own do not either.
    function: Any = PortvecEmbeddingFunction(artifact, threads=1, token="hf_secret")
    collection = client.create_collection("docs", embedding_function=function)
    collection.add(ids=IDS, documents=DOCUMENTS)
    return folder


@pytest.fixture
def database(bundled: Path, tmp_path: Path) -> Path:
    return create(tmp_path / "db", bundled)


def best(collection: Any) -> list[tuple[str, float]]:
    found = collection.query(query_texts=[*ANSWERS], n_results=1)
    return [
        (document, distance)
        for (document,), (distance,) in zip(found["documents"], found["distances"], strict=True)
    ]


def test_vectors_are_those_of_the_embedder(bundled: Path) -> None:
    function = PortvecEmbeddingFunction(bundled)
    rows = StaticEmbedder.load(bundled).encode(DOCUMENTS[:9])
    for vectors in (function(DOCUMENTS[:9]), function.embed_query(DOCUMENTS[:9])):
        assert [vector.dtype for vector in vectors] == [np.float32] * 9
        np.testing.assert_array_equal(np.array(vectors), rows)


def test_index_query_and_reopen_without_naming_the_function(database: Path, bundled: Path) -> None:
    collection: Any = chromadb.PersistentClient(str(database)).get_collection("docs")
    for (question, answer), (document, distance) in zip(ANSWERS.items(), best(collection), strict=True):
        assert document == answer
        # Chroma's cosine distance is 1 - cosine.
        assert distance == pytest.approx(1 - cosine(bundled, question, answer), abs=1e-5)
    assert collection.configuration["hnsw"]["space"] == "cosine"


def test_reopened_in_another_process(database: Path) -> None:
    program = """
import sys
import chromadb
import portvec.integrations.chroma
collection = chromadb.PersistentClient(sys.argv[1]).get_collection("docs")
for (document,) in collection.query(query_texts=sys.argv[2:], n_results=1)["documents"]:
    print(document)
collection.add(ids=["new"], documents=["The Danube flows through Vienna and Budapest."])
print(collection.query(query_texts=["Which river is in Vienna?"], n_results=1)["documents"][0][0])
"""
    *found, new = in_fresh_process(program, database, *ANSWERS)
    assert found == [*ANSWERS.values()]
    assert new == "The Danube flows through Vienna and Budapest."


def test_a_reopened_collection_loads_the_model_once(
    bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chroma builds the function anew at every call."""
    artifact = shutil.copytree(bundled, tmp_path / "artifact")  # which no other test has loaded
    database = create(tmp_path / "db", artifact)
    loaded = []
    load = StaticEmbedder.load

    def counting(*args: Any, **kwargs: Any) -> StaticEmbedder:
        loaded.append(args)
        return load(*args, **kwargs)

    monkeypatch.setattr(StaticEmbedder, "load", counting)
    collection = chromadb.PersistentClient(str(database)).get_collection("docs")
    for _ in range(3):
        best(collection)
    assert loaded == [(str(artifact),)]


def test_a_model_that_moved(database: Path, bundled: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(bundled, moved)
    function: Any = PortvecEmbeddingFunction(moved)
    client = chromadb.PersistentClient(str(database))
    collection = client.get_collection("docs", embedding_function=function)
    assert [document for document, _ in best(collection)] == [*ANSWERS.values()]


def test_stores_source_and_options_without_the_token(database: Path, bundled: Path) -> None:
    assert known_embedding_functions["portvec"] is PortvecEmbeddingFunction
    config = PortvecEmbeddingFunction(bundled, threads=1, token="hf_secret").get_config()
    assert config == {"source": str(bundled), "options": {"threads": 1}}
    assert PortvecEmbeddingFunction.build_from_config(config).get_config() == config
    stored = b"".join(path.read_bytes() for path in database.rglob("*") if path.is_file())
    assert str(bundled).encode() in stored
    assert b"hf_secret" not in stored


def test_errors_name_what_was_got(bundled: Path) -> None:
    function = PortvecEmbeddingFunction(bundled)
    wrong: Any = "a text"
    with pytest.raises(InputError, match=r"^texts is a str, expected a list of str; wrap it as \[text\]$"):
        function(wrong)
    with pytest.raises(TypeError, match="unexpected keyword argument 'devise'"):
        PortvecEmbeddingFunction(bundled, devise="cpu")
    with pytest.raises(SourceError, match=r"^no/such/folder: no such folder"):
        PortvecEmbeddingFunction("no/such/folder")(["a text"])


def test_prompts(prompted: Path, tmp_path: Path) -> None:
    function: Any = PortvecEmbeddingFunction(prompted)
    embedder = StaticEmbedder.load(prompted)
    assert np.array_equal(function(DOCUMENTS[1:4]), embedder.encode_documents(DOCUMENTS[1:4]))
    assert np.array_equal(function.embed_query(DOCUMENTS[1:4]), embedder.encode_queries(DOCUMENTS[1:4]))
    client = chromadb.PersistentClient(str(tmp_path / "db"))
    collection = client.create_collection("docs", embedding_function=function)
    collection.add(ids=["a"], documents=["value"])
    found: Any = collection.query(query_texts=["value"], n_results=1)["distances"]
    one, other = embedder.encode_documents(["value"])[0], embedder.encode_queries(["value"])[0]
    distance = 1 - one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert found == [[pytest.approx(distance, abs=1e-5)]]
