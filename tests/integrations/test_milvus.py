"""Model2VecEmbeddingFunction: Milvus's interface, and a real Milvus Lite."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model2vec import StaticModel

from corpus import paragraphs
from portvec import Model2VecEmbeddingFunction
from portvec.errors import InputError, OptionError
from project import ROOT


@pytest.fixture(scope="module")
def ef(bundled: Path) -> Model2VecEmbeddingFunction:
    return Model2VecEmbeddingFunction(bundled)


def test_interface_of_the_milvus_documentation(
    ef: Model2VecEmbeddingFunction, reference: StaticModel
) -> None:
    texts = ["Alan Turing was the first person to conduct substantial research in AI.", "", "x"]
    assert ef.dim == 256
    for method in (ef.encode_documents, ef.encode_queries, ef):
        vectors = method(texts)
        assert isinstance(vectors, list)
        assert [(vector.shape, str(vector.dtype)) for vector in vectors] == [((256,), "float32")] * 3
        np.testing.assert_allclose(vectors, reference.encode(texts), rtol=0, atol=1e-6)
        assert method([]) == []


def test_default_model() -> None:
    signature = inspect.signature(Model2VecEmbeddingFunction)
    assert signature.parameters["model_source"].default == "minishlab/potion-base-8M"


@pytest.mark.parametrize("name", ["encode_documents", "encode_queries", "__call__"])
def test_a_bare_str_is_refused(ef: Model2VecEmbeddingFunction, name: str) -> None:
    argument = {"encode_documents": "documents", "encode_queries": "queries", "__call__": "texts"}[name]
    with pytest.raises(
        InputError, match=rf"^{argument} is a str, expected a list of str; wrap it as \[text\]"
    ):
        getattr(ef, name)("text")


def test_options_by_the_names_that_model2vec_gives_them(tiny_model: Path) -> None:
    ef = Model2VecEmbeddingFunction(
        str(tiny_model),
        token=None,
        revision=None,
        subfolder=None,
        force_download=False,
        normalize=False,
        max_length=100,
        dimensionality=8,
        quantize_to="float16",
        threads=1,
    )
    assert ef.dim == 8
    assert ef.encode_queries(["the value"])[0].dtype == np.float32


def test_options_that_it_does_not_have_raise(tiny_model: Path) -> None:
    unknown: dict[str, Any] = {"devise": "cpu"}
    with pytest.raises(TypeError, match="unexpected keyword argument 'devise'"):
        Model2VecEmbeddingFunction(tiny_model, **unknown)
    with pytest.raises(OptionError, match="quantize_to is 'float64', expected 'float32', 'float16' or None"):
        Model2VecEmbeddingFunction(tiny_model, quantize_to="float64")


def test_does_not_import_pymilvus() -> None:
    assert Model2VecEmbeddingFunction.__mro__[1] is object


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("milvus") / "real.db"


@pytest.fixture(scope="module")
def documents() -> list[str]:
    return [text for text in paragraphs(3000) if len(text.split()) > 15][:500]


@pytest.fixture
def client(database: Path) -> Iterator[Any]:
    from pymilvus import MilvusClient

    client = MilvusClient(str(database))
    yield client
    client.close()


class TestMilvusLite:
    """Documents in a file, found again by their own words, also after the file is reopened."""

    def search(
        self, client: Any, ef: Model2VecEmbeddingFunction, documents: list[str]
    ) -> tuple[list[int], np.ndarray]:
        queries = [" ".join(text.split()[:12]) for text in documents]
        results = client.search("docs", data=ef.encode_queries(queries), limit=1, output_fields=["text"])
        scores = np.array(ef.encode_queries(queries)) @ np.array(ef.encode_documents(documents)).T
        for row, (hit,) in zip(scores, results, strict=True):
            # Milvus finds what an exact search finds, and gives its cosine.
            assert hit["distance"] == pytest.approx(row.max(), abs=1e-5)
            assert row[hit["id"]] == pytest.approx(row.max(), abs=1e-5)
            assert hit["entity"]["text"] == documents[hit["id"]]
        return [hit["id"] for (hit,) in results], scores

    def test_insert_and_search(
        self, client: Any, ef: Model2VecEmbeddingFunction, documents: list[str]
    ) -> None:
        client.create_collection("docs", dimension=ef.dim, metric_type="COSINE")
        vectors = ef.encode_documents(documents)
        client.insert(
            "docs",
            [
                {"id": i, "vector": v, "text": t}
                for i, (v, t) in enumerate(zip(vectors, documents, strict=True))
            ],
        )
        found, _ = self.search(client, ef, documents)
        assert np.mean(np.array(found) == np.arange(len(documents))) > 0.8

    def test_reopened_file_gives_the_same(
        self, client: Any, ef: Model2VecEmbeddingFunction, documents: list[str]
    ) -> None:
        assert client.has_collection("docs")
        found, scores = self.search(client, ef, documents)
        assert (scores[np.arange(len(found)), found] >= scores.max(axis=1) - 1e-5).all()


def test_example_prints_the_right_documents(
    bundled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import runpy

    example = runpy.run_path(str(ROOT / "examples" / "milvus_search.py"))
    example["main"](str(bundled), tmp_path / "demo.db")
    example["main"](str(bundled), tmp_path / "demo.db")  # a second run starts over
    output = capsys.readouterr().out.splitlines()
    assert output[:3] == output[3:]
    assert output[0] == "Dim: 256 (256,)"
    assert "founded -> Artificial intelligence was founded as an academic discipline in 1956. (" in output[1]
    assert "born? -> Born in Maida Vale, London, Turing was raised in southern England. (" in output[2]
