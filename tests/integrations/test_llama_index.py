"""PortvecEmbedding in LlamaIndex's vector index: retrieved, persisted, asynchronously."""

from __future__ import annotations

import asyncio
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest

from frameworks import ANSWERS, NO_WORDS, OTHERS, cosine, in_fresh_process, need
from portvec import StaticEmbedder
from portvec.errors import InputError, SourceError

need("llama_index.core")

from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.schema import TextNode

from portvec.integrations.llama_index import PortvecEmbedding


@pytest.fixture
def embedding(bundled: Path) -> PortvecEmbedding:
    return PortvecEmbedding(bundled)


@pytest.fixture
def index(embedding: PortvecEmbedding) -> VectorStoreIndex:
    nodes = [TextNode(text=text) for text in [*ANSWERS.values(), *OTHERS]]
    return VectorStoreIndex(nodes, embed_model=embedding)


def test_vectors_are_those_of_the_embedder(embedding: PortvecEmbedding, bundled: Path) -> None:
    embedder = StaticEmbedder.load(bundled)
    rows, alone = embedder.encode(OTHERS[:9]).tolist(), embedder.encode(OTHERS[0]).tolist()
    assert embedding.get_text_embedding_batch(OTHERS[:9]) == rows
    assert embedding.get_text_embedding(OTHERS[0]) == alone
    assert embedding.get_query_embedding(OTHERS[0]) == alone
    assert asyncio.run(embedding.aget_text_embedding_batch(OTHERS[:9])) == rows
    assert asyncio.run(embedding.aget_text_embedding(OTHERS[0])) == alone


def test_index_and_retrieve(index: VectorStoreIndex, bundled: Path) -> None:
    retriever = index.as_retriever(similarity_top_k=1)
    for question, answer in ANSWERS.items():
        (found,) = retriever.retrieve(question)
        assert found.node.get_content() == answer
        assert found.score == pytest.approx(cosine(bundled, question, answer), abs=1e-6)


def test_retrieve_asynchronously(index: VectorStoreIndex) -> None:
    async def retrieve() -> list[str]:
        retriever = index.as_retriever(similarity_top_k=1)
        found = await asyncio.gather(*[retriever.aretrieve(question) for question in ANSWERS])
        return [nodes[0].node.get_content() for nodes in found]

    assert asyncio.run(retrieve()) == [*ANSWERS.values()]


def test_persisted_index_opens_here_and_in_another_process(
    index: VectorStoreIndex, embedding: PortvecEmbedding, bundled: Path, tmp_path: Path
) -> None:
    index.storage_context.persist(str(tmp_path))
    context = StorageContext.from_defaults(persist_dir=str(tmp_path))
    reopened = load_index_from_storage(context, embed_model=embedding)
    question, answer = next(iter(ANSWERS.items()))
    assert reopened.as_retriever(similarity_top_k=1).retrieve(question)[0].node.get_content() == answer
    program = """
import sys
from llama_index.core import StorageContext, load_index_from_storage
from portvec.integrations.llama_index import PortvecEmbedding
context = StorageContext.from_defaults(persist_dir=sys.argv[1])
index = load_index_from_storage(context, embed_model=PortvecEmbedding(sys.argv[2]))
for question in sys.argv[3:]:
    print(index.as_retriever(similarity_top_k=1).retrieve(question)[0].node.get_content())
"""
    printed = in_fresh_process(program, tmp_path, bundled, *ANSWERS)
    assert printed[-len(ANSWERS) :] == [*ANSWERS.values()]  # LlamaIndex 0.14.0 prints what it reads


def test_serializes_source_and_options_without_the_token(bundled: Path) -> None:
    original = PortvecEmbedding(bundled, threads=1, token="hf_secret", embed_batch_size=64)
    data = original.to_dict()
    assert data["class_name"] == "PortvecEmbedding"
    assert (data["source"], data["options"]) == (str(bundled), {"threads": 1})
    assert "hf_secret" not in original.to_json() + repr(original)
    expected = original.get_query_embedding("a text")
    for copy in (
        PortvecEmbedding.from_dict(data),
        PortvecEmbedding.from_json(original.to_json()),
        pickle.loads(pickle.dumps(original)),
    ):
        assert (copy.options, copy.embed_batch_size) == ({"threads": 1}, 64)
        assert copy.get_query_embedding("a text") == expected
    assert b"hf_secret" not in pickle.dumps(original)


@pytest.mark.parametrize(
    ("method", "argument"),
    [
        ("aget_query_embedding", "x"),
        ("aget_text_embedding", "x"),
        ("aget_text_embedding_batch", ["x"]),
    ],
)
def test_async_methods_leave_the_event_loop_free(
    embedding: PortvecEmbedding, monkeypatch: pytest.MonkeyPatch, method: str, argument: Any
) -> None:
    """The embedding waits for something that only a running event loop does."""
    loop_ran = threading.Event()
    encode = StaticEmbedder.encode

    def waiting(self: StaticEmbedder, texts: Any, **options: Any) -> Any:
        assert loop_ran.wait(timeout=30)
        return encode(self, texts, **options)

    monkeypatch.setattr(StaticEmbedder, "encode", waiting)

    async def call() -> None:
        asyncio.get_running_loop().call_later(0.01, loop_ran.set)
        await getattr(embedding, method)(argument)

    asyncio.run(call())
    assert loop_ran.is_set()  # else nothing was embedded, and so nothing waited


def test_errors_name_what_was_got(embedding: PortvecEmbedding, bundled: Path) -> None:
    wrong: Any = ["a text"]
    with pytest.raises(InputError, match=r"^texts\[0\] is of type list, expected str"):
        embedding.get_query_embedding(wrong)
    with pytest.raises(SourceError, match=r"^no/such/folder: no such folder"):
        PortvecEmbedding("no/such/folder")
    with pytest.raises(TypeError, match="unexpected keyword argument 'devise'"):
        PortvecEmbedding(bundled, devise="cpu")


def test_texts_that_would_spoil_an_index_are_refused(embedding: PortvecEmbedding) -> None:
    message = (
        r"^texts\[1\] \('☃'\) has no token that the model knows, so its embedding is zero, "
        "which LlamaIndex cannot compare; leave it out$"
    )
    nodes = [TextNode(text=text) for text in ("a text", NO_WORDS[1])]
    with pytest.raises(InputError, match=message):
        VectorStoreIndex(nodes, embed_model=embedding)
    for text in (*NO_WORDS, ""):
        with pytest.raises(InputError, match=rf"^texts\[0\] \('{text}'\) has no token"):
            embedding.get_query_embedding(text)


def test_prompts(prompted: Path) -> None:
    embedding, embedder = PortvecEmbedding(prompted), StaticEmbedder.load(prompted)
    query = embedder.encode_queries("a").tolist()
    assert embedding.get_text_embedding_batch(["a", "b"]) == embedder.encode_documents(["a", "b"]).tolist()
    assert embedding.get_text_embedding("a") == embedder.encode_documents("a").tolist()
    assert embedding.get_query_embedding("a") == query
    assert asyncio.run(embedding.aget_query_embedding("a")) == query
