"""The options of loading: checked where they come in, whatever the source is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from portvec import Model2VecEmbeddingFunction, StaticClassifier, StaticEmbedder
from portvec._options import ModelOptions
from portvec.errors import OptionError

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"dim": "x"}, "^dim is 'x', expected a whole number of 1 or more, or None$"),
    ({"dim": 0}, "^dim is 0, expected a whole number"),
    ({"max_length": True}, "^max_length is True, expected a whole number"),
    ({"max_length": -1}, "^max_length is -1, expected a whole number"),
    ({"threads": 0}, "^threads is 0, expected a whole number"),
    ({"threads": -1}, "^threads is -1, expected a whole number"),
    ({"threads": 1.5}, r"^threads is 1\.5, expected a whole number"),
    ({"threads": "2"}, "^threads is '2', expected a whole number"),
    ({"dim": 2**63}, "^dim is 9223372036854775808, expected at most 2147483647$"),
    ({"dim": 1e30}, r"^dim is 1e\+30, expected a whole number of 1 or more, or None$"),
    ({"max_length": 2**31}, "^max_length is 2147483648, expected at most 2147483647$"),
    ({"max_length": 2**64}, "^max_length is 18446744073709551616, expected at most"),
    ({"vocabulary_size": 2**31}, "^vocabulary_size is 2147483648, expected at most"),
    ({"threads": 2**40}, "^threads is 1099511627776, expected at most 4096$"),
    ({"dtype": "int9"}, "^dtype 'int9' is unknown, expected one of float32, float16, int8, int4$"),
    ({"dtype": 5}, "^dtype is 5, expected str or None$"),
    ({"dtype": ["int8"]}, r"^dtype is \['int8'\], expected str or None$"),
    ({"normalize": "yes"}, "^normalize is 'yes', expected bool or None$"),
    ({"normalize": 1}, "^normalize is 1, expected bool or None$"),
    ({"revision": 5}, "^revision is 5, expected str or None$"),
    ({"subfolder": 5}, "^subfolder is 5, expected str or None$"),
    ({"token": 5}, "^token is 5, expected str or bool or None$"),
    ({"force_download": "yes"}, "^force_download is 'yes', expected bool$"),
    ({"tokenizer": None}, "^tokenizer is None, expected str$"),
    ({"tokenizer": ["auto"]}, r"^tokenizer is \['auto'\], expected str$"),
    ({"tokenizer_cache": -1}, "^tokenizer_cache is -1, expected a whole number of 0 or more, or None$"),
    ({"tokenizer_cache": False}, "^tokenizer_cache is False, expected a whole number of 0 or more"),
    ({"tokenizer_cache": 1e6}, r"^tokenizer_cache is 1000000\.0, expected a whole number of 0 or more"),
    ({"tokenizer_cache": "1000"}, "^tokenizer_cache is '1000', expected a whole number of 0 or more"),
    ({"tokenizer_cache": 2**31}, "^tokenizer_cache is 2147483648, expected at most 2147483647$"),
    (
        {"semantics": "clip"},
        "^semantics 'clip' is unknown, expected one of model2vec, projector, sentence-transformers$",
    ),
    ({"providers": 5}, r"^providers is 5, expected a list of names, such as \['CPUExecutionProvider'\]$"),
    ({"providers": [5]}, r"^providers is \[5\], expected a list of names, such as"),
    ({"providers": "CPU"}, r"^providers is 'CPU', expected a list of names, such as \['CPU'\]$"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
@pytest.mark.parametrize("load", [StaticEmbedder.load, StaticClassifier.load])
def test_refused_before_anything_is_read(load: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        load("no/such/folder", **options)


@pytest.mark.parametrize("source", [None, 5, b"model", ["model"], "a\0b"])
def test_what_cannot_name_a_model(source: Any, tmp_path: Path) -> None:
    message = (
        rf"^the source is {re.escape(repr(source))}, expected the path of a folder, or a Hub id owner/name$"
    )
    for load in (StaticEmbedder.load, StaticClassifier.load, Model2VecEmbeddingFunction):
        with pytest.raises(OptionError, match=message):
            load(source)


@pytest.mark.parametrize("named", [StaticEmbedder, StaticClassifier])
def test_a_model_is_loaded_not_constructed(named: Any) -> None:
    for arguments in ((), ("model",), ("model", 5)):
        message = rf"^{named.__name__} has no constructor; use {named.__name__}\.load\(source\)$"
        with pytest.raises(TypeError, match=message):
            named(*arguments)
    with pytest.raises(TypeError, match="has no constructor; use"):
        named(source="model")


def test_milvus_has_model2vecs_names() -> None:
    with pytest.raises(OptionError, match=r"^dim is 0, expected a whole number"):
        Model2VecEmbeddingFunction("no/such/folder", dimensionality=0)
    with pytest.raises(OptionError, match=r"^threads is 0, expected a whole number"):
        Model2VecEmbeddingFunction("no/such/folder", threads=0)
    message = r"^Model2VecEmbeddingFunction\(\) got an unexpected keyword argument 'dim'$"
    with pytest.raises(TypeError, match=message):
        Model2VecEmbeddingFunction("no/such/folder", dim=0)


ACCEPTED: list[dict[str, Any]] = [
    {},
    {"dim": 1},
    {"max_length": 1},
    {"max_length": "model"},
    {"max_length": None},
    {"threads": 1},
    {"threads": None},
    {"tokenizer_cache": 0},
    {"tokenizer_cache": 2**31 - 1},
    {"tokenizer_cache": None},
]


@pytest.mark.parametrize("options", ACCEPTED)
def test_accepted(options: dict[str, Any]) -> None:
    kept = ModelOptions(**options)
    assert {name: getattr(kept, name) for name in options} == options


def test_options_can_be_keys() -> None:
    options = ModelOptions(providers=["CPUExecutionProvider"], dim=3)
    assert options.providers == ("CPUExecutionProvider",)
    assert {options: 1}[ModelOptions(providers=("CPUExecutionProvider",), dim=3)] == 1


def test_the_cache_of_words_does_not_change_what_a_model_is_converted_to() -> None:
    assert ModelOptions(tokenizer_cache=0).conversion == ModelOptions().conversion


def test_options_of_running_load_an_artifact(tiny: Path) -> None:
    embedder = StaticEmbedder.load(
        tiny, providers=["CPUExecutionProvider"], threads=1, tokenizer="tokenizers", tokenizer_cache=1000
    )
    assert embedder.encode("the value").shape == (embedder.dim,)
