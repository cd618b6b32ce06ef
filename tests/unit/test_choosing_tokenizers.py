"""Which tokenizer backend runs an artifact, and what it may use."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from damage import edit, leave_to_tokenizers, replace_file
from portvec._artifact.folder import Artifact, open_artifact
from portvec._tokenization.backends.huggingface import PlainEncoder
from portvec._tokenization.selection import choose_tokenizer
from portvec._vocabulary.token_ids import TokenIds, flatten
from portvec.errors import ArtifactError, MissingExtraError, OptionError

LONG = ["return the value " * 10] * 200  # enough text to load the faster encoder
COMPILED, CACHING = "compiled", "tokenizers, caching words"


class FakeAccelerator:
    """Gives the ids of `tokenizers`, or other ones."""

    name = "fake"
    package = "numpy"
    extra = "quick"
    models = frozenset({"WordPiece"})
    error: Exception | None = None
    shift = 0
    loaded: list[bool]  # what each was told about threads

    def __init__(self, content: bytes, *, parallel: bool) -> None:
        self.loaded.append(parallel)
        if self.error is not None:
            raise self.error
        self._plain = PlainEncoder(Path("tokenizer.json"), content)

    def encode(self, texts: Sequence[str]) -> TokenIds:
        return flatten(
            [[token_id + self.shift for token_id in ids] for ids in self._plain.encode(texts).lists()]
        )


def fake(**attributes: Any) -> dict[str, Any]:
    """Return a registry with one accelerator that has these attributes."""
    return {"fake": type("Fake", (FakeAccelerator,), {"loaded": [], **attributes})}


@pytest.fixture(params=[COMPILED, CACHING])
def own(request: pytest.FixtureRequest) -> str:
    """What does the work if no accelerator does. It depends on whether a vocabulary is compiled."""
    name: str = request.param
    return name


@pytest.fixture
def artifact(tiny: Path, own: str) -> Artifact:
    return open_artifact(tiny if own == COMPILED else leave_to_tokenizers(tiny))


def name_of(artifact: Artifact, choice: str, accelerators: dict[str, Any]) -> str:
    """Return the name of the tokenizer for many texts. It is the same at once and later."""
    names = {
        choose_tokenizer(artifact, choice, at_once=at_once, accelerators=accelerators).name
        for at_once in (True, False)
    }
    assert len(names) == 1
    return names.pop()


def test_unknown_choice(artifact: Artifact) -> None:
    message = r"^tokenizer 'quick' is unknown, expected one of auto, compiled, tokenizers, fake, graph$"
    with pytest.raises(OptionError, match=message):
        choose_tokenizer(artifact, "quick", accelerators=fake())


@pytest.mark.parametrize(("choice", "name"), [("auto", "fake"), ("fake", "fake"), ("tokenizers", CACHING)])
def test_exact_accelerator(artifact: Artifact, choice: str, name: str) -> None:
    assert name_of(artifact, choice, fake()) == name
    plain = choose_tokenizer(artifact, "tokenizers")
    expected = plain.tokenize(["return the value"]).lists()[0] * 10
    tokenizer = choose_tokenizer(artifact, choice, accelerators=fake())
    for _ in range(2):
        assert tokenizer.tokenize(LONG).lists() == [expected] * len(LONG)


@pytest.mark.parametrize("at_once", [True, False])
def test_compiled_vocabulary(tiny: Path, at_once: bool) -> None:
    tokenizer = choose_tokenizer(open_artifact(tiny), "compiled", at_once=at_once, accelerators=fake())
    expected = choose_tokenizer(open_artifact(tiny), "tokenizers").tokenize(LONG).lists()
    assert tokenizer.tokenize(LONG).lists() == expected
    assert tokenizer.name == COMPILED


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"not_compiled": "its BPE has dropout"}, "its BPE has dropout"),
        ({"not_compiled": None}, r"its portvec\.json lists none"),
        ({}, "an older portvec exported it"),
    ],
)
def test_compiled_vocabulary_that_is_not_there(
    uncompiled: Path, facts: dict[str, Any], reason: str, at_once: bool
) -> None:
    edit(uncompiled, lambda manifest: manifest.update(tokenizer={"model": "WordPiece", **facts}))
    artifact = open_artifact(uncompiled)
    message = (
        rf"^{re.escape(str(uncompiled))}: has no compiled vocabulary \({reason}\); use tokenizer='auto'$"
    )
    with pytest.raises(ArtifactError, match=message):
        choose_tokenizer(artifact, "compiled", at_once=at_once)
    assert name_of(artifact, "auto", {}) == CACHING


def test_tokenizers_do_not_read_the_compiled_vocabulary(tiny: Path) -> None:
    expected = choose_tokenizer(open_artifact(tiny), "compiled").tokenize(LONG).lists()
    replace_file(tiny, "portvec.vocabulary", b"")
    assert choose_tokenizer(open_artifact(tiny), "tokenizers").tokenize(LONG).lists() == expected


def test_accelerator_for_other_models(artifact: Artifact, own: str) -> None:
    accelerators = fake(models=frozenset({"Unigram"}))
    assert name_of(artifact, "auto", accelerators) == own
    assert name_of(artifact, "fake", accelerators) == "fake"


def test_accelerator_that_is_not_installed(artifact: Artifact, own: str) -> None:
    accelerators = fake(package="no_such_package")
    assert name_of(artifact, "auto", accelerators) == own
    message = r"^tokenizer 'fake' is not installed; run pip install 'portvec\[quick\]'$"
    with pytest.raises(MissingExtraError, match=message):
        choose_tokenizer(artifact, "fake", accelerators=accelerators)
    assert accelerators["fake"].loaded == []


REFUSED = ": fake does not give this model's token ids; use tokenizer='auto'$"


def test_accelerator_with_other_ids(artifact: Artifact, own: str, caplog: pytest.LogCaptureFixture) -> None:
    accelerators = fake(shift=1)
    with caplog.at_level(logging.WARNING, "portvec"):
        assert choose_tokenizer(artifact, accelerators=accelerators).name == own
    assert [record.getMessage() for record in caplog.records] == [
        f"{artifact.folder}: fake is not used, its ids differ from the recorded ones"
    ]
    with pytest.raises(ArtifactError, match=REFUSED):
        choose_tokenizer(artifact, "fake", accelerators=accelerators)


@pytest.mark.parametrize("error", [RuntimeError("no such model"), ImportError("wrong ELF class")])
def test_accelerator_that_fails(
    artifact: Artifact, own: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    accelerators = fake(error=error)
    with caplog.at_level(logging.INFO, "portvec"):
        assert choose_tokenizer(artifact, accelerators=accelerators).name == own
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", f"{artifact.folder}: fake is not used ({error})")
    ]
    with pytest.raises(ArtifactError, match=REFUSED):
        choose_tokenizer(artifact, "fake", accelerators=accelerators)


def test_the_next_accelerator_is_tried(artifact: Artifact) -> None:
    broken = fake(error=RuntimeError("broken"))["fake"]
    assert name_of(artifact, "auto", {"broken": broken, **fake()}) == "fake"


def test_nothing_is_loaded_before_it_is_needed(artifact: Artifact) -> None:
    accelerators = fake()
    tokenizer = choose_tokenizer(artifact, accelerators=accelerators)
    assert tokenizer.tokenize(["return the value"]).lists()[0]
    assert accelerators["fake"].loaded == []
    tokenizer.tokenize(LONG)
    assert len(accelerators["fake"].loaded) == 1


def test_models_that_cannot_be_cut_run_on_tokenizers(uncompiled: Path) -> None:
    text = (uncompiled / "tokenizer.json").read_bytes()
    assert b'"BertPreTokenizer"' in text
    replace_file(uncompiled, "tokenizer.json", text.replace(b'"BertPreTokenizer"', b'"UnicodeScripts"'))
    for choice in ("auto", "tokenizers"):
        assert name_of(open_artifact(uncompiled), choice, {}) == "tokenizers"


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("choice", ["auto", "fake"])
def test_accelerators_are_told_whether_they_may_use_threads(
    artifact: Artifact, choice: str, parallel: bool
) -> None:
    accelerators = fake()
    choose_tokenizer(artifact, choice, parallel=parallel, at_once=True, accelerators=accelerators)
    assert accelerators["fake"].loaded == [parallel]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"texts": []}', b"[" * 100_000, b"\xff"])
def test_damaged_recorded_texts_cost_the_accelerator_only(
    artifact: Artifact, own: str, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    expected = choose_tokenizer(artifact, "tokenizers").tokenize(LONG).lists()
    folder = artifact.folder
    replace_file(folder, "conformance.json", content)
    artifact = open_artifact(folder)
    problem = f"{folder / 'conformance.json'}: (not a list of|has no) recorded text.*; export the model again"
    tokenizer = choose_tokenizer(artifact, accelerators=fake())
    with caplog.at_level(logging.WARNING, "portvec"):
        assert tokenizer.tokenize(LONG).lists() == expected
    assert tokenizer.name == own
    (record,) = caplog.records
    assert re.fullmatch(f"fake is not used: {problem}", record.getMessage())
    with pytest.raises(ArtifactError, match=f"^{problem}$"):
        choose_tokenizer(artifact, "fake", accelerators=fake())


@pytest.mark.skipif(sys.platform == "win32", reason="needs sparse files")
@pytest.mark.parametrize("name", ["conformance.json", "tokenizer.json"])
def test_huge_files_cost_the_accelerator_only(
    tiny: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    size = 20 * 10**9
    os.truncate(tiny / name, size)
    edit(tiny, lambda manifest: manifest["files"][name].update(size=size))
    tokenizer = choose_tokenizer(open_artifact(tiny), accelerators=fake())
    with caplog.at_level(logging.WARNING, "portvec"):
        assert len(tokenizer.tokenize(LONG).lists()) == len(LONG)
    assert tokenizer.name == COMPILED
    (record,) = caplog.records
    assert re.fullmatch(f"fake is not used: {tiny / name}: 20,000,000,000 bytes, .*", record.getMessage())
