"""StaticEmbedder: inputs, shapes, order, errors."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from corpus import paragraphs
from portvec import Model2VecEmbeddingFunction, StaticEmbedder
from portvec._bulk.search import search
from portvec.errors import InputError, OptionError, SourceError
from project import BATCH_ROUNDING


@pytest.fixture
def embedder(tiny: Path) -> StaticEmbedder:
    return StaticEmbedder.load(tiny)


def test_what_an_embedder_shows_of_itself(tiny: Path) -> None:
    shown = f"StaticEmbedder({str(tiny)!r}, dim=24, dtype='float32')"
    assert repr(StaticEmbedder.load(str(tiny), token="secret")) == shown
    function = Model2VecEmbeddingFunction(str(tiny), tokenizer="tokenizers")
    assert repr(function) == f"Model2VecEmbeddingFunction({shown})"


def test_shapes_and_types(embedder: StaticEmbedder) -> None:
    assert embedder.dim == embedder.manifest.dim == 24
    for texts, shape in {"one text": (24,), ("a", "b", "c"): (3, 24), (): (0, 24)}.items():
        embeddings = embedder.encode(texts)
        assert embeddings.shape == shape
        assert embeddings.dtype == np.float32


def test_any_iterable_of_str(embedder: StaticEmbedder) -> None:
    texts = ["one", "two words", "", "three little words"]
    expected = embedder.encode(texts)
    inputs: list[Iterable[str]] = [
        tuple(texts),
        (text for text in texts),
        np.array(texts),
        np.array(texts, dtype=object),
        pd.Series(texts),
        pd.array(texts, dtype="string"),
        dict.fromkeys(texts).keys(),
    ]
    for texts_as in inputs:
        np.testing.assert_array_equal(embedder.encode(texts_as), expected)


def test_more_texts_than_are_embedded_at_a_time_keep_their_order(tiny: Path) -> None:
    texts = paragraphs(9000)
    one = StaticEmbedder.load(tiny, threads=1)
    four = StaticEmbedder.load(tiny, threads=4)
    expected = np.concatenate([one.encode(texts[i : i + 100]) for i in range(0, len(texts), 100)])
    np.testing.assert_allclose(one.encode(iter(texts)), expected, rtol=0, atol=BATCH_ROUNDING)
    np.testing.assert_allclose(four.encode(texts), expected, rtol=0, atol=BATCH_ROUNDING)


def test_texts_without_known_tokens_get_the_zero_vector(embedder: StaticEmbedder) -> None:
    texts = ["", "   ", "\n", "[UNK]", "\U0010fffd", "word"]
    embeddings = embedder.encode(texts)
    assert not embeddings[:-1].any()
    assert np.linalg.norm(embeddings[-1]) == pytest.approx(1.0, abs=1e-6)


def test_tokenize_gives_flat_ids_and_offsets(embedder: StaticEmbedder) -> None:
    tokens = embedder.tokenize(["the value", "", "[UNK] the", "the"])
    the = tokens.ids[0]
    assert tokens.ids.dtype == tokens.offsets.dtype == np.int64
    lists = tokens.lists()
    assert [lists[1], lists[2], lists[3]] == [[], [the], [the]]
    assert tokens.offsets.tolist() == [0, len(lists[0]), len(lists[0]), len(lists[0]) + 1, len(lists[0]) + 2]
    assert repr(tokens) == f"TokenIds(4 texts, {len(tokens.ids)} ids)"


BAD_ELEMENTS: list[tuple[Any, str]] = [
    (b"bytes", "bytes"),
    (3, "int"),
    (1.5, "float"),
    (["nested"], "list"),
]


@pytest.mark.parametrize(("element", "name"), BAD_ELEMENTS)
def test_elements_that_are_no_str(embedder: StaticEmbedder, element: Any, name: str) -> None:
    for method in (embedder.encode, embedder.tokenize):
        with pytest.raises(
            InputError, match=rf"texts\[1\] is of type {name}, expected str; drop it or convert it"
        ):
            method(["fine", element])


@pytest.mark.parametrize(
    ("library", "table", "column"),
    [("pandas", "DataFrame", "Series"), ("polars", "DataFrame", "Series"), ("pyarrow", "table", "array")],
)
def test_a_table_is_refused_and_its_columns_embedded(
    embedder: StaticEmbedder, library: str, table: str, column: str
) -> None:
    module = pytest.importorskip(library)
    texts = ["one", "two words"]
    frame = getattr(module, table)({"text": texts, "the value": [1, 2]})
    gap = getattr(module, column)([*["fine"] * 5000, None])
    for method in (embedder.encode, embedder.tokenize):
        with pytest.raises(InputError, match=r"; pass one column, such as texts\['text'\]$"):
            method(frame)
        with pytest.raises(InputError, match=r"^texts\[5000\] is \w+, a missing value; drop it"):
            method(gap)
    np.testing.assert_array_equal(embedder.encode(frame["text"]), embedder.encode(texts))
    assert embedder.tokenize(frame["text"]).lists() == embedder.tokenize(texts).lists()


@pytest.mark.parametrize(("texts", "name"), [(None, "NoneType"), (b"x", "bytes"), (3, "int"), ({}, "dict")])
def test_inputs_that_are_no_iterable_of_str(embedder: StaticEmbedder, texts: Any, name: str) -> None:
    with pytest.raises(InputError, match=f"texts is of type {name}, expected a str or an iterable of str"):
        embedder.encode(texts)


def test_tokenize_takes_no_bare_str(embedder: StaticEmbedder) -> None:
    with pytest.raises(InputError, match=r"texts is a str, expected a list of str; wrap it as \[text\]"):
        embedder.tokenize("text")


def test_lone_surrogates(embedder: StaticEmbedder) -> None:
    with pytest.raises(
        InputError, match=r"texts\[1\] holds the lone surrogate U\+D83D at character 2, .*replace"
    ):
        embedder.encode(["fine", "ab\ud83d"])


def test_errors_count_from_the_start_of_the_input(tiny: Path) -> None:
    faults: list[tuple[Any, str]] = [
        (None, "is None, a missing value"),
        ("\ud83d", "holds the lone surrogate"),
    ]
    for threads in (1, 2):
        embedder = StaticEmbedder.load(tiny, threads=threads)
        for bad, message in faults:
            with pytest.raises(InputError, match=rf"texts\[9000\] {message}"):
                embedder.encode([*["fine"] * 9000, bad, *["fine"] * 9000])
        assert embedder.encode(["fine"]).shape == (1, 24)


def test_input_errors_are_type_and_value_errors_too(embedder: StaticEmbedder) -> None:
    for error in (TypeError, ValueError):
        with pytest.raises(error, match=r"texts\[0\]"):
            embedder.encode([1])  # type: ignore[list-item]


def test_unknown_tokenizer_and_provider(tiny: Path) -> None:
    message = "tokenizer 'magic' is unknown, expected one of auto, compiled, tokenizers, nanotoken"
    with pytest.raises(OptionError, match=message):
        StaticEmbedder.load(tiny, tokenizer="magic")
    with pytest.raises(
        OptionError, match=r"'NoSuchProvider' is not in this onnxruntime, which has .*CPUExec"
    ):
        StaticEmbedder.load(tiny, providers=["NoSuchProvider"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"dim": 10},
            "an artifact exported with dim 24, but 10 was asked for; export the Model2Vec model again",
        ),
        ({"normalize": False}, "exported with normalize True, but False"),
        ({"max_length": None}, "exported with max_length 512, but None"),
        ({"dtype": "float16"}, "exported with dtype float32, but float16"),
    ],
)
def test_artifacts_cannot_follow_other_export_options(
    tiny: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        StaticEmbedder.load(tiny, **options)
    StaticEmbedder.load(tiny, dim=24, normalize=True, max_length=512, dtype="float32")


def test_bulk_search_takes_texts_in_order_only(embedder: StaticEmbedder) -> None:
    texts = ["the value", "another text"]
    assert [hit.position for hit in search(embedder, pd.Series(texts), "the value", 1)] == [0]
    for refused in (set(texts), pd.DataFrame({"text": texts}), "the value"):
        with pytest.raises(InputError, match=r"^texts is (a str|of type (set|DataFrame)), expected"):
            search(embedder, refused, "the value", 1)
