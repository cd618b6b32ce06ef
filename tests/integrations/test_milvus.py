"""Model2VecEmbeddingFunction: Milvus's interface, and a real Milvus Lite."""

from __future__ import annotations

import inspect
import re
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


def test_example_prints_the_passages_that_are_nearest(
    bundled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import runpy

    example = runpy.run_path(str(ROOT / "examples" / "milvus_search.py"))
    example["main"](str(bundled), tmp_path / "demo.db")
    first = capsys.readouterr().out.splitlines()
    example["main"](str(bundled), tmp_path / "demo.db")  # a second run starts over
    assert capsys.readouterr().out.splitlines() == first
    assert first[0] == "Dim: 256 (256,)"
    questions, passages = example["QUESTIONS"], example["DOCUMENTS"] + example["read_passages"](ROOT / "docs")
    assert len(questions) >= 5
    assert len(passages) > 200
    embedder = StaticEmbedder.load(bundled)
    cosines = embedder.encode(questions) @ embedder.encode(passages).T
    shown = iter(first[1:])
    for question, row in zip(questions, cosines, strict=True):
        assert next(shown) == question
        for index in np.argsort(-row)[:2]:
            score, _, text = next(shown).strip().partition("  ")
            assert float(score) == pytest.approx(row[index], abs=1e-3)
            assert text.removesuffix("…") == passages[index][: len(text.removesuffix("…"))]
    assert not [*shown]


class Transformer:
    """What the methods of a model in PyTorch look like, which returns what it is told to."""

    def __init__(self, result: Any) -> None:
        self.result = result

    def encode(self, texts: list[str]) -> Any:
        assert type(texts) is list
        return self.result


class TestDocumentsOfAnotherModel:
    def test_a_static_model_finds_the_documents_of_another_in_milvus(
        self, bundled: Path, tiny: Path, reference: StaticModel, tmp_path: Path
    ) -> None:
        from pymilvus import MilvusClient

        texts = [text for text in paragraphs(3000) if len(text.split()) > 15][:200]
        ef = Model2VecEmbeddingFunction(bundled, documents=Model2VecEmbeddingFunction(bundled, threads=1))
        assert ef.dim == 256
        vectors = ef.encode_documents(texts)
        rows = [{"id": index, "vector": vector} for index, vector in enumerate(vectors)]
        queries = ef.encode_queries([" ".join(text.split()[:12]) for text in texts])
        with closing(MilvusClient(str(tmp_path / "milvus.db"))) as client:
            client.create_collection("docs", dimension=ef.dim, metric_type="COSINE")
            client.insert("docs", rows)
            found = client.search("docs", data=queries, limit=1)
        ids = [hit["id"] for (hit,) in found]
        assert ids == (np.array(queries) @ np.array(vectors).T).argmax(axis=1).tolist()
        assert np.mean(np.array(ids) == np.arange(len(texts))) > 0.8

    def test_each_method_embeds_with_its_own_model(self, bundled: Path, reference: StaticModel) -> None:
        rng = np.random.default_rng(3)
        expected = rng.standard_normal((3, 256))
        results = [expected, expected.astype(np.float16), list(expected), expected.tolist()]
        for result in results:
            ef = Model2VecEmbeddingFunction(bundled, documents=Transformer(result))
            got = ef.encode_documents(iter(["a", "b", "c"]))
            assert [(vector.shape, vector.dtype) for vector in got] == [((256,), np.dtype(np.float32))] * 3
            np.testing.assert_allclose(got, expected, rtol=1e-3)
            np.testing.assert_allclose(ef.encode_queries(["a"]), reference.encode(["a"]), rtol=0, atol=1e-6)
            assert ef.encode_documents([]) == []

    def test_the_method_that_knows_about_documents_comes_first(self, bundled: Path) -> None:
        class Both(Transformer):
            def encode_document(self, texts: list[str]) -> Any:
                return np.full((len(texts), 256), 2.0)

        class All(Both):
            def encode_documents(self, texts: list[str]) -> Any:
                return np.full((len(texts), 256), 3.0)

        def function(texts: list[str]) -> Any:
            return np.full((len(texts), 256), 4.0)

        ones = np.ones((1, 256))
        for number, documents in enumerate((Transformer(ones), Both(ones), All(ones), function), 1):
            ef = Model2VecEmbeddingFunction(bundled, documents=documents)
            assert set(ef.encode_documents(["text"])[0]) == {number}

    def test_what_cannot_embed_documents(self, bundled: Path) -> None:
        for documents in ("owner/model", bundled, 3, Transformer):
            message = (
                rf"documents is {re.escape(repr(documents))}, expected a loaded model with encode_documents, "
                r"encode_document or encode, or a function that embeds a list of str$"
            )
            with pytest.raises(OptionError, match=message):
                Model2VecEmbeddingFunction(bundled, documents=documents)

    def test_other_dimensions(self, bundled: Path, tiny: Path) -> None:
        def message(name: str, dim: int) -> str:
            return (
                rf"^documents: {name} embeds in {dim} dimensions, but {re.escape(str(bundled))}, which "
                "embeds the queries, in 256; use two models of the same vector space$"
            )

        with pytest.raises(OptionError, match=message("StaticEmbedder", 24)):
            Model2VecEmbeddingFunction(bundled, documents=StaticEmbedder.load(tiny))
        ef = Model2VecEmbeddingFunction(bundled, documents=Transformer(np.ones((2, 384))))
        with pytest.raises(OptionError, match=message("Transformer", 384)):
            ef.encode_documents(["a", "b"])

    @pytest.mark.parametrize(
        ("result", "message"),
        [
            (np.ones((3, 256)), r"returns the shape \(3, 256\) for 2 texts, expected \(2, 256\)$"),
            (np.ones(256), r"returns the shape \(256,\) for 2 texts, expected \(2, 256\)$"),
            (None, r"returns the shape \(\) for 2 texts, expected \(2, 256\)$"),
            ([[1.0], [1.0, 2.0]], r"returns list, expected an array of numbers \(2, 256\) or a list of vec"),
            ([["1"] * 256] * 2, r"returns list, expected an array of numbers \(2, 256\) or a list of vec"),
            (
                np.ones((2, 256), np.complex64),
                r"returns ndarray, expected an array of numbers \(2, 256\) or a",
            ),
            ({"dense": 1}, r"returns dict, expected an array of numbers \(2, 256\) or a list of vectors$"),
            (
                np.array([np.ones(256), np.full(256, np.nan)]),
                r"returns NaN or infinity for documents\[1\], which cannot be searched; leave it out$",
            ),
        ],
    )
    def test_results_that_are_not_a_vector_for_each_text(
        self, result: Any, message: str, bundled: Path
    ) -> None:
        ef = Model2VecEmbeddingFunction(bundled, documents=Transformer(result))
        with pytest.raises(OptionError, match=rf"^documents: Transformer {message}"):
            ef.encode_documents(["a", "b"])

    def test_texts_are_checked_before_the_other_model_gets_them(self, bundled: Path) -> None:
        ef = Model2VecEmbeddingFunction(bundled, documents=Transformer(np.ones((2, 256))))
        with pytest.raises(InputError, match=r"^documents is a str, expected a list of str; wrap it as"):
            ef.encode_documents("text")
        with pytest.raises(InputError, match=r"^texts\[1\] is None, a missing value"):
            ef.encode_documents(["a", None])  # type: ignore[list-item]

    def test_a_text_that_may_be_either(self, bundled: Path) -> None:
        ef = Model2VecEmbeddingFunction(bundled, documents=Transformer(np.ones((1, 256))))
        message = (
            rf"^{re.escape(str(bundled))}: embeds queries only, and documents=Transformer embeds documents; "
            "call encode_queries or encode_documents$"
        )
        with pytest.raises(OptionError, match=message):
            ef(["a text"])
