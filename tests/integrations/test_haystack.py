"""Haystack's components in pipelines: documents written, found, and pipelines saved as YAML."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from frameworks import ANSWERS, DOCUMENTS, cosine, in_fresh_process, need
from portvec import StaticEmbedder
from portvec.errors import InputError, SourceError

need("haystack")

from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore

from portvec.integrations.haystack import PortvecDocumentEmbedder, PortvecTextEmbedder


def indexing(source: Path, store: InMemoryDocumentStore) -> Pipeline:
    pipeline = Pipeline()
    pipeline.add_component("embedder", PortvecDocumentEmbedder(source, token="hf_secret"))
    pipeline.add_component("writer", DocumentWriter(document_store=store))
    pipeline.connect("embedder.documents", "writer.documents")
    return pipeline


def searching(source: Path, store: InMemoryDocumentStore) -> Pipeline:
    pipeline = Pipeline()
    pipeline.add_component("embedder", PortvecTextEmbedder(source, threads=1, token="hf_secret"))
    pipeline.add_component("retriever", InMemoryEmbeddingRetriever(document_store=store, top_k=1))
    pipeline.connect("embedder.embedding", "retriever.query_embedding")
    return pipeline


@pytest.fixture
def store(bundled: Path) -> InMemoryDocumentStore:
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    documents = [Document(content=text) for text in DOCUMENTS]
    written = indexing(bundled, store).run({"embedder": {"documents": documents}})
    assert written["writer"]["documents_written"] == len(DOCUMENTS)
    return store


def best(pipeline: Pipeline, question: str) -> Any:
    (document,) = pipeline.run({"embedder": {"text": question}})["retriever"]["documents"]
    return document


def test_vectors_are_those_of_the_embedder(bundled: Path) -> None:
    rows = StaticEmbedder.load(bundled).encode(DOCUMENTS[:9]).tolist()
    documents = [Document(content=text, meta={"n": n}) for n, text in enumerate(DOCUMENTS[:9])]
    embedded = PortvecDocumentEmbedder(bundled).run(documents)["documents"]
    assert [document.embedding for document in embedded] == rows
    assert [(document.id, document.meta) for document in embedded] == [(d.id, d.meta) for d in documents]
    assert all(document.embedding is None for document in documents)  # copies, not these, have embeddings
    assert PortvecTextEmbedder(bundled).run(DOCUMENTS[0]) == {"embedding": rows[0]}


def test_metadata_is_embedded_before_the_content(bundled: Path) -> None:
    embedder = PortvecDocumentEmbedder(
        bundled, meta_fields_to_embed=["title", "year", "missing", "none"], embedding_separator=" - "
    )
    documents = [
        Document(content="a text", meta={"title": "Turing", "year": 1912, "none": None, "other": "x"}),
        Document(content=None, meta={"title": "No content"}),
    ]
    embedded = embedder.run(documents)["documents"]
    expected = StaticEmbedder.load(bundled).encode(["Turing - 1912 - a text", "No content - "]).tolist()
    assert [document.embedding for document in embedded] == expected


def test_index_and_search(store: InMemoryDocumentStore, bundled: Path) -> None:
    pipeline = searching(bundled, store)
    for question, answer in ANSWERS.items():
        document = best(pipeline, question)
        assert document.content == answer
        assert document.score == pytest.approx(cosine(bundled, question, answer), abs=1e-6)


def test_search_asynchronously_leaves_the_event_loop_free(
    store: InMemoryDocumentStore, bundled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedding waits for something that only a running event loop does."""
    loop_ran = threading.Event()
    encode = StaticEmbedder.encode

    def waiting(self: StaticEmbedder, texts: Any, **options: Any) -> Any:
        assert loop_ran.wait(timeout=30)
        return encode(self, texts, **options)

    monkeypatch.setattr(StaticEmbedder, "encode", waiting)
    question, answer = next(iter(ANSWERS.items()))

    async def search() -> Any:
        asyncio.get_running_loop().call_later(0.01, loop_ran.set)
        return await searching(bundled, store).run_async({"embedder": {"text": question}})

    assert asyncio.run(search())["retriever"]["documents"][0].content == answer


def test_pipelines_survive_yaml_without_the_token(bundled: Path, store: InMemoryDocumentStore) -> None:
    for pipeline in (searching(bundled, store), indexing(bundled, store)):
        yaml = pipeline.dumps()
        assert "hf_secret" not in yaml
        assert f"source: {bundled}" in yaml
        assert Pipeline.loads(yaml, allowed_modules=["portvec.*"]).dumps() == yaml
    yaml = searching(bundled, store).dumps()
    assert "threads: 1" in yaml


def test_saved_pipeline_and_store_work_in_another_process(
    bundled: Path, store: InMemoryDocumentStore, tmp_path: Path
) -> None:
    store.save_to_disk(str(tmp_path / "store.json"))
    (tmp_path / "pipeline.yaml").write_text(searching(bundled, store).dumps())
    program = """
import sys
from haystack import Pipeline
from haystack.document_stores.in_memory import InMemoryDocumentStore
pipeline = Pipeline.loads(open(sys.argv[1]).read(), allowed_modules=["portvec.*"])
store = InMemoryDocumentStore.load_from_disk(sys.argv[2])
pipeline.get_component("retriever").document_store = store
for question in sys.argv[3:]:
    print(pipeline.run({"embedder": {"text": question}})["retriever"]["documents"][0].content)
"""
    found = in_fresh_process(program, tmp_path / "pipeline.yaml", tmp_path / "store.json", *ANSWERS)
    assert found == [*ANSWERS.values()]


@pytest.mark.parametrize("component", [PortvecTextEmbedder, PortvecDocumentEmbedder])
def test_loads_at_warm_up(component: Any) -> None:
    embedder = component("no/such/folder")
    with pytest.raises(SourceError, match=r"^no/such/folder: no such folder"):
        embedder.warm_up()


def test_errors_name_what_was_got(bundled: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'devise'"):
        PortvecTextEmbedder(bundled, devise="cpu")
    wrong: Any = ["a text"]
    with pytest.raises(InputError, match=r"^texts\[0\] is of type list, expected str"):
        PortvecTextEmbedder(bundled).run(wrong)


def test_prompts(prompted: Path) -> None:
    embedder = StaticEmbedder.load(prompted)
    embedded = PortvecDocumentEmbedder(prompted).run(documents=[Document(content="a")])["documents"]
    assert embedded[0].embedding == embedder.encode_documents("a").tolist()
    assert PortvecTextEmbedder(prompted).run(text="a")["embedding"] == embedder.encode_queries("a").tolist()
