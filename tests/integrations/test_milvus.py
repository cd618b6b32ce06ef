"""Model2VecEmbeddingFunction: Milvus's interface, and a real Milvus Lite."""

from __future__ import annotations

import inspect
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model2vec import StaticModel

from corpus import paragraphs
from portvec import Model2VecEmbeddingFunction, StaticEmbedder
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
    with pytest.raises(
        InputError, match=rf"^{argument} is of type set, .*; a set has none, pass sorted\({argument}\)$"
    ):
        getattr(ef, name)({"one", "two"})


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
    texts = ["the value", "value " * 90 + "function " * 90]  # the second is longer than 100 tokens
    ours = StaticEmbedder.load(tiny_model, normalize=False, max_length=100, dim=8, dtype="float16")
    np.testing.assert_array_equal(ef.encode_queries(texts), ours.encode(texts))
    theirs = StaticModel.from_pretrained(tiny_model, normalize=False, max_length=100, dimensionality=8)
    np.testing.assert_allclose(ef.encode_queries(texts), theirs.encode(texts), rtol=0, atol=1e-5)


def test_options_that_it_does_not_have_raise(tiny_model: Path) -> None:
    unknown: dict[str, Any] = {"devise": "cpu"}
    with pytest.raises(TypeError, match="unexpected keyword argument 'devise'"):
        Model2VecEmbeddingFunction(tiny_model, **unknown)
    with pytest.raises(OptionError, match="quantize_to is 'float64', expected 'float32', 'float16' or None"):
        Model2VecEmbeddingFunction(tiny_model, quantize_to="float64")


def test_has_no_base_class_of_pymilvus() -> None:
    assert Model2VecEmbeddingFunction.__bases__ == (object,)


def find_each(client: Any, ef: Model2VecEmbeddingFunction, documents: list[str]) -> list[int]:
    """Return what Milvus finds for the first words of each document, after an exact search has agreed."""
    queries = [" ".join(text.split()[:12]) for text in documents]
    results = client.search("docs", data=ef.encode_queries(queries), limit=1, output_fields=["text"])
    scores = np.array(ef.encode_queries(queries)) @ np.array(ef.encode_documents(documents)).T
    for row, (hit,) in zip(scores, results, strict=True):
        assert hit["distance"] == pytest.approx(row.max(), abs=1e-5)
        assert row[hit["id"]] == pytest.approx(row.max(), abs=1e-5)
        assert hit["entity"]["text"] == documents[hit["id"]]
    return [hit["id"] for (hit,) in results]


def test_documents_are_found_by_their_own_words_before_and_after_the_file_is_reopened(
    ef: Model2VecEmbeddingFunction, tmp_path: Path
) -> None:
    from pymilvus import MilvusClient

    path = str(tmp_path / "milvus.db")
    documents = [text for text in paragraphs(3000) if len(text.split()) > 15][:500]
    rows = [
        {"id": index, "vector": vector, "text": text}
        for index, (vector, text) in enumerate(zip(ef.encode_documents(documents), documents, strict=True))
    ]
    with closing(MilvusClient(path)) as client:
        client.create_collection("docs", dimension=ef.dim, metric_type="COSINE")
        client.insert("docs", rows)
        found = find_each(client, ef, documents)
    assert np.mean(np.array(found) == np.arange(len(documents))) > 0.8
    with closing(MilvusClient(path)) as client:
        assert find_each(client, ef, documents) == found


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
