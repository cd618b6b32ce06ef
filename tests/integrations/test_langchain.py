"""PortvecEmbeddings in LangChain's in-memory store: searched, saved, loaded, asynchronously."""

from __future__ import annotations

import asyncio
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frameworks import ANSWERS, DOCUMENTS, cosine, in_fresh_process, need
from portvec import StaticEmbedder
from portvec.errors import InputError, SourceError

need("langchain_core")

from langchain_core.vectorstores import InMemoryVectorStore

from portvec.integrations.langchain import PortvecEmbeddings


@pytest.fixture
def embeddings(bundled: Path) -> PortvecEmbeddings:
    return PortvecEmbeddings(bundled)


def test_vectors_are_those_of_the_embedder(embeddings: PortvecEmbeddings, bundled: Path) -> None:
    embedder = StaticEmbedder.load(bundled)
    assert embeddings.embed_documents(DOCUMENTS[:9]) == embedder.encode(DOCUMENTS[:9]).tolist()
    assert embeddings.embed_query(DOCUMENTS[0]) == embedder.encode(DOCUMENTS[0]).tolist()
    assert embeddings.embed_documents([]) == []


def test_index_and_search(embeddings: PortvecEmbeddings, bundled: Path) -> None:
    store = InMemoryVectorStore.from_texts(DOCUMENTS, embeddings)
    for question, answer in ANSWERS.items():
        ((document, score),) = store.similarity_search_with_score(question, k=1)
        assert document.page_content == answer
        assert score == pytest.approx(cosine(bundled, question, answer), abs=1e-6)


def test_saved_store_opens_in_another_process(
    embeddings: PortvecEmbeddings, bundled: Path, tmp_path: Path
) -> None:
    InMemoryVectorStore.from_texts(DOCUMENTS, embeddings).dump(str(tmp_path / "store.json"))
    program = """
import sys
from langchain_core.vectorstores import InMemoryVectorStore
from portvec.integrations.langchain import PortvecEmbeddings
store = InMemoryVectorStore.load(sys.argv[1], PortvecEmbeddings(sys.argv[2]))
for question in sys.argv[3:]:
    print(store.similarity_search(question, k=1)[0].page_content)
"""
    assert in_fresh_process(program, tmp_path / "store.json", bundled, *ANSWERS) == [*ANSWERS.values()]


def test_async_index_and_search(embeddings: PortvecEmbeddings) -> None:
    async def search() -> list[str]:
        store = await InMemoryVectorStore.afrom_texts(DOCUMENTS, embeddings)
        found = await asyncio.gather(*[store.asimilarity_search(question, k=1) for question in ANSWERS])
        return [documents[0].page_content for documents in found]

    assert asyncio.run(search()) == [*ANSWERS.values()]


@pytest.mark.parametrize(("method", "argument"), [("aembed_query", "x"), ("aembed_documents", ["x"])])
def test_async_methods_leave_the_event_loop_free(
    embeddings: PortvecEmbeddings, monkeypatch: pytest.MonkeyPatch, method: str, argument: Any
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
        await getattr(embeddings, method)(argument)

    asyncio.run(call())
    assert loop_ran.is_set()  # else nothing was embedded, and so nothing waited


def test_pickles_without_the_token(bundled: Path) -> None:
    pickled = pickle.dumps(PortvecEmbeddings(bundled, threads=1, token="hf_secret"))
    assert b"hf_secret" not in pickled
    copy = pickle.loads(pickled)
    assert np.shape(copy.embed_query("x")) == (256,)


def test_errors_name_what_was_got(embeddings: PortvecEmbeddings) -> None:
    wrong: Any = "a text"
    with pytest.raises(InputError, match=r"^texts is a str, expected a list of str; wrap it as \[text\]$"):
        embeddings.embed_documents(wrong)
    wrong = ["a text"]
    with pytest.raises(InputError, match=r"^texts\[0\] is of type list, expected str"):
        embeddings.embed_query(wrong)
    with pytest.raises(SourceError, match=r"^no/such/folder: no such folder"):
        PortvecEmbeddings("no/such/folder")
    with pytest.raises(TypeError, match="unexpected keyword argument 'devise'"):
        PortvecEmbeddings("no/such/folder", devise="cpu")


def test_prompts(prompted: Path) -> None:
    embeddings, embedder = PortvecEmbeddings(prompted), StaticEmbedder.load(prompted)
    assert embeddings.embed_documents(["a", "b"]) == embedder.encode_documents(["a", "b"]).tolist()
    assert embeddings.embed_query("a") == embedder.encode_queries("a").tolist()
