"""Every accelerator in the registry gives the ids of `tokenizers` for the models that it claims."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import texts
from corpus import paragraphs
from matrix import TOKENIZER_CASES
from portvec._tokenization.backends import ACCELERATORS
from portvec._tokenization.backends.huggingface import PlainEncoder


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Path]]:
    """tokenizer.json of several kinds, and the type of its model."""
    found = []
    for case in TOKENIZER_CASES:
        path = case.build(tmp_path_factory.mktemp("backend")) / "tokenizer.json"
        found.append((json.loads(path.read_text(encoding="utf-8"))["model"]["type"], path))
    return found


@pytest.mark.parametrize("name", ACCELERATORS)
def test_is_registered_by_its_name(name: str) -> None:
    assert ACCELERATORS[name].name == name


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("name", ACCELERATORS)
def test_gives_the_ids_of_tokenizers(name: str, parallel: bool, tokenizers: list[tuple[str, Path]]) -> None:
    accelerator = ACCELERATORS[name]
    paths = [path for model, path in tokenizers if model in accelerator.models]
    assert paths
    for path in paths:
        encoder, plain = accelerator(path.read_bytes(), parallel=parallel), PlainEncoder(path)
        for batch in ([*paragraphs(2000), *texts.scripts(), *texts.ADVERSARIAL], ["one text"], [""], []):
            assert encoder.encode(batch).lists() == plain.encode(batch).lists()
