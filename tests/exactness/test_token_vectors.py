"""Token vectors: those of model2vec's `encode_as_sequence`, for every kind of model."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model2vec import StaticModel
from safetensors.numpy import load_file

import static_folders
import texts
import tiny_models
from classifiers import pipeline
from corpus import paragraphs
from damage import replace_file
from matrix import CASES, Case
from portvec import StaticClassifier, StaticEmbedder
from portvec._inference.onnxruntime import onnxruntime as ort
from portvec.errors import ArtifactError, InputError, OptionError
from portvec_export import export_model

# Limits that cut no text, some tokens, and some characters first.
LIMITS = [None, 1, 7, 100]


def assert_same(
    embedder: StaticEmbedder, model: StaticModel, sample: list[str], max_length: int | None = None
) -> None:
    got = embedder.encode_tokens(sample, max_length=max_length)
    expected = model.encode_as_sequence(sample, max_length=max_length)
    assert [vectors.shape for vectors in got] == [vectors.shape for vectors in expected]
    assert {vectors.dtype for vectors in got} == {np.dtype(np.float32)}
    for ours, theirs in zip(got, expected, strict=True):
        # model2vec's float16 and float64 tables are float32 here, and so are the products with weights.
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("tokenizer", ["compiled", "tokenizers", "auto"])
def test_bundled_model_bit_for_bit(tokenizer: str, bundled: Path, reference: StaticModel) -> None:
    embedder = StaticEmbedder.load(bundled, tokenizer=tokenizer)
    sample = [*paragraphs(3000), *texts.scripts(), *texts.ADVERSARIAL, *texts.around_limits(512, 3072)]
    for max_length in LIMITS:
        got = embedder.encode_tokens(sample, max_length=max_length)
        expected = reference.encode_as_sequence(sample, max_length=max_length)
        for ours, theirs in zip(got, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_model(case: Case, tmp_path: Path) -> None:
    source = case.build(tmp_path / "model")
    artifact = export_model(source, tmp_path / "artifact", **case.export)
    model = case.load_model(source)
    for tokenizer in ("tokenizers", "auto"):
        embedder = StaticEmbedder.load(artifact, tokenizer=tokenizer)
        limits = texts.around_limits(model.max_length, embedder.manifest.max_characters)
        sample = [*paragraphs(100), *texts.scripts(), *texts.ADVERSARIAL, *limits]
        for max_length in LIMITS:
            assert_same(embedder, model, sample, max_length)


@pytest.mark.slow
def test_huge_texts(bundled: Path, reference: StaticModel) -> None:
    embedder = StaticEmbedder.load(bundled)
    assert_same(embedder, reference, texts.huge())
    assert_same(embedder, reference, texts.huge(), max_length=5000)


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> StaticEmbedder:
    folder = tmp_path_factory.mktemp("tokens")
    return StaticEmbedder.load(export_model(tiny_models.save(folder / "model"), folder / "artifact"))


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "int4"])
def test_smaller_tables_give_the_vectors_whose_mean_encode_takes(dtype: str, tmp_path: Path) -> None:
    folder = tiny_models.save(tmp_path / "model", normalize=False)
    embedder = StaticEmbedder.load(export_model(folder, tmp_path / "artifact", dtype=dtype))
    sample = paragraphs(100)
    means = [vectors.mean(axis=0) for vectors in embedder.encode_tokens(sample, max_length=512)]
    np.testing.assert_allclose(embedder.encode(sample), means, rtol=0, atol=2e-6)


def test_forms_of_texts(embedder: StaticEmbedder) -> None:
    sample = ["the value", "", "[UNK] of", "of the value"]
    found = embedder.encode_tokens(sample)
    assert [len(vectors) for vectors in found] == [len(ids) for ids in embedder.tokenize(sample).lists()]
    assert found[1].shape == (0, 24)
    for text, vectors in zip(sample, found, strict=True):
        alone = embedder.encode_tokens(text)
        assert alone.dtype == np.float32
        np.testing.assert_array_equal(alone, vectors)
        np.testing.assert_array_equal(embedder.encode_tokens([text])[0], vectors)
        np.testing.assert_array_equal(embedder.encode_tokens(text, max_length=600), vectors)
    assert embedder.encode_tokens([]) == []
    for form in (tuple(sample), iter(sample), np.array(sample)):
        for ours, expected in zip(embedder.encode_tokens(form), found, strict=True):
            np.testing.assert_array_equal(ours, expected)
    np.testing.assert_array_equal(found[3][-len(found[0]) :], found[0])


def test_the_models_own_limit_does_not_apply(tmp_path: Path) -> None:
    folder = tiny_models.save(tmp_path / "model", max_length=3)
    embedder = StaticEmbedder.load(export_model(folder, tmp_path / "artifact"))
    assert len(embedder.tokenize(["of " * 50]).ids) == 3
    assert len(embedder.encode_tokens("of " * 50)) == 50
    assert len(embedder.encode_tokens("of " * 50, max_length=5)) == 5


def test_rules_of_sentence_transformers(tmp_path: Path) -> None:
    """Unknown tokens count, and no character is cut. There is no such method to compare with."""
    settings: dict[str, Any] = {"prompts": {"query": "find: "}, "default_prompt_name": "query"}
    source = static_folders.save(tmp_path / "model", truncation={"max_length": 3}, **settings)
    embedder = StaticEmbedder.load(source, semantics="sentence-transformers")
    table = load_file(source / "model.safetensors")["embedding.weight"]
    tokenizer = tiny_models.tokenizer("wordpiece")
    unknown = tokenizer.get_vocab()["[UNK]"]
    sample = ["the ꙮ value", "ꙮ", "", f"of{' ' * 10_000}the", *paragraphs(50), *texts.ADVERSARIAL]
    expected = [tokenizer.encode(text, add_special_tokens=False).ids for text in sample]
    assert [ids.count(unknown) for ids in expected[:3]] == [1, 1, 0]
    assert len(expected[3]) == 2
    for max_length in LIMITS:
        got = embedder.encode_tokens(sample, max_length=max_length)
        for text, ids, vectors in zip(sample, expected, got, strict=True):
            np.testing.assert_array_equal(vectors, table[ids[:max_length]])
            np.testing.assert_array_equal(embedder.encode_tokens(text, max_length=max_length), vectors)
    model2vecs = StaticEmbedder.load(source, semantics="model2vec")
    assert len(model2vecs.encode_tokens(sample[3], max_length=2)) == 1


def test_layers_do_not_apply(tmp_path: Path) -> None:
    theirs = pipeline("regressor")
    theirs.save_pretrained(str(tmp_path / "model"))
    projector = StaticEmbedder.load(tmp_path / "model", semantics="projector")
    assert projector.dim != projector.manifest.table_dim
    assert_same(projector, theirs.model, ["the value", "", *paragraphs(20)])


def test_stream_reads_texts_as_needed_and_memory_is_bounded(embedder: StaticEmbedder) -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        for text in chain(["the value"], repeat("of " * 400)):
            taken += 1
            yield text

    stream = embedder.stream_tokens(endless())
    np.testing.assert_array_equal(next(stream), embedder.encode_tokens("the value"))
    assert taken < 50_000
    tracemalloc.start()
    for vectors in islice(stream, 20_000):
        assert vectors.shape == (400, 24)
    assert tracemalloc.get_traced_memory()[1] < 20_000 * 400 * 24 * 4 / 5
    tracemalloc.stop()


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "5"])
def test_limits_that_are_none(embedder: StaticEmbedder, value: Any) -> None:
    message = rf"^max_length is {value!r}, expected a whole number of 1 or more, or None$"
    for call in (embedder.encode_tokens, embedder.stream_tokens):
        with pytest.raises(OptionError, match=message):
            call(["text"], max_length=value)


def test_inputs_that_are_no_texts(embedder: StaticEmbedder) -> None:
    with pytest.raises(InputError, match=r"texts is a str, expected a list of str; wrap it as \[text\]"):
        embedder.stream_tokens("text")
    with pytest.raises(InputError, match="texts is of type NoneType, expected a str or an iterable of str"):
        embedder.encode_tokens(None)  # type: ignore[call-overload]
    faults: list[tuple[Any, str]] = [
        (None, "is None, a missing value"),
        ("\ud83d", "holds the lone surrogate"),
    ]
    for bad, message in faults:
        stream = embedder.stream_tokens([*["fine"] * 3000, bad])
        assert len(list(islice(stream, 2048))) == 2048
        with pytest.raises(InputError, match=rf"^texts\[3000\] {message}"):
            list(stream)
    with pytest.raises(InputError, match=r"texts\[0\] holds the lone surrogate"):
        embedder.encode_tokens("\ud83d")


def test_no_session_is_needed(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a session was made")

    expected = StaticEmbedder.load(tiny).encode_tokens(["the value", "of"])
    monkeypatch.setattr(ort, "InferenceSession", fail)
    embedder = StaticEmbedder.load(tiny)
    for got, vectors in zip(embedder.encode_tokens(["the value", "of"]), expected, strict=True):
        np.testing.assert_array_equal(got, vectors)


def test_classifiers_have_the_vectors_of_their_model(tmp_path: Path) -> None:
    theirs = pipeline("softmax")
    theirs.save_pretrained(str(tmp_path / "model"))
    StaticClassifier.load(tmp_path / "model")
    assert_same(StaticEmbedder.load(tmp_path / "model"), theirs.model, paragraphs(20))


def test_tables_that_the_format_does_not_describe(tiny: Path) -> None:
    """Such a graph may still embed, as onnxruntime knows what it means."""
    for name in ("onnx/model.onnx", "portvec.graph"):
        content = (tiny / name).read_bytes()
        assert b"vectors" in content
        replace_file(tiny, name, content.replace(b"vectors", b"vektors"))
    embedder = StaticEmbedder.load(tiny)
    assert embedder.encode(["the value"]).any()
    message = r"portvec\.graph: its tensors are not the table that the format describes, so .*; export the"
    for call in (embedder.encode_tokens, embedder.stream_tokens):
        with pytest.raises(ArtifactError, match=message):
            call(["the value"])
    with pytest.raises(ArtifactError, match=message):
        embedder.encode_tokens("the value")
