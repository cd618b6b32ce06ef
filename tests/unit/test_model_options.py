"""The options of loading: checked where they come in, whatever the source is."""

from __future__ import annotations

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
    ({"providers": "CPU"}, r"^providers is 'CPU', expected a list of names, such as \['CPU'\]$"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
@pytest.mark.parametrize("load", [StaticEmbedder.load, StaticClassifier.load])
def test_refused_before_anything_is_read(load: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        load("no/such/folder", **options)


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
]


@pytest.mark.parametrize("options", ACCEPTED)
def test_accepted(options: dict[str, Any]) -> None:
    kept = ModelOptions(**options)
    assert {name: getattr(kept, name) for name in options} == options


def test_options_can_be_keys() -> None:
    options = ModelOptions(providers=["CPUExecutionProvider"], dim=3)
    assert options.providers == ("CPUExecutionProvider",)
    assert {options: 1}[ModelOptions(providers=("CPUExecutionProvider",), dim=3)] == 1


def test_options_of_running_load_an_artifact(tiny: Path) -> None:
    embedder = StaticEmbedder.load(
        tiny, providers=["CPUExecutionProvider"], threads=1, tokenizer="tokenizers"
    )
    assert embedder.encode("the value").shape == (embedder.dim,)
