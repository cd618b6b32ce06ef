"""Which tokenizer backend runs an artifact, and when the libraries may use their thread pools."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from portvec._artifact.folder import Artifact, open_artifact
from portvec._tokenization import selection
from portvec._tokenization.backends import ACCELERATORS
from portvec._tokenization.backends.huggingface import PlainEncoder
from portvec._tokenization.selection import choose_tokenizer, list_choices
from portvec._tokenization.token_ids import TokenIds, flatten
from portvec.errors import ArtifactError, MissingExtraError, OptionError

LONG = ["return the value " * 2000]  # enough text to load the faster encoder


class FakeAccelerator:
    """Gives the ids of `tokenizers`, or other ones."""

    name = "fake"
    package = "numpy"
    extra = "quick"
    models = ("WordPiece",)
    error: Exception | None = None
    shift = 0

    def __init__(self, path: Path, *, parallel: bool) -> None:
        if self.error is not None:
            raise self.error
        self.parallel = parallel
        self._plain = PlainEncoder(path)

    def encode(self, texts: Sequence[str]) -> TokenIds:
        return flatten(
            [[token_id + self.shift for token_id in ids] for ids in self._plain.encode(texts).lists()]
        )


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The only accelerator; its class may be changed."""

    class Fake(FakeAccelerator):
        pass

    accelerators: dict[str, Any] = {"fake": Fake}
    monkeypatch.setattr(selection, "ACCELERATORS", accelerators)
    return Fake


@pytest.fixture
def artifact(tiny: Path) -> Artifact:
    return open_artifact(tiny)


CACHING = "tokenizers, caching words"


def test_choices() -> None:
    assert list_choices() == ["auto", "tokenizers", *ACCELERATORS]


def test_unknown_choice(artifact: Artifact) -> None:
    with pytest.raises(OptionError, match="'quick'"):
        choose_tokenizer(artifact, "quick", 1)


@pytest.mark.usefixtures("fake")
def test_exact_accelerator(artifact: Artifact) -> None:
    for choice, name in [("auto", "fake"), ("fake", "fake"), ("tokenizers", CACHING)]:
        tokenizer = choose_tokenizer(artifact, choice, 1)
        assert tokenizer.name == name
        assert tokenizer.tokenize(LONG).lists() == tokenizer.tokenize(LONG).lists()


def test_accelerator_for_other_models(artifact: Artifact, fake: Any) -> None:
    fake.models = ("Unigram",)
    assert choose_tokenizer(artifact, "auto", 1).name == CACHING
    assert choose_tokenizer(artifact, "fake", 1).name == "fake"


def test_accelerator_that_is_not_installed(artifact: Artifact, fake: Any) -> None:
    fake.package = "no_such_package"
    fake.error = AssertionError("must not be loaded")
    assert choose_tokenizer(artifact, "auto", 1).name == CACHING
    message = r"^tokenizer 'fake' is not installed; run pip install 'portvec\[quick\]'$"
    with pytest.raises(MissingExtraError, match=message):
        choose_tokenizer(artifact, "fake", 1)


REFUSED = ": fake does not give this model's token ids; use tokenizer='auto'$"


def test_accelerator_with_other_ids(artifact: Artifact, fake: Any, caplog: pytest.LogCaptureFixture) -> None:
    fake.shift = 1
    with caplog.at_level(logging.WARNING, "portvec"):
        assert choose_tokenizer(artifact, "auto", 1).name == CACHING
    assert [record.getMessage() for record in caplog.records] == [
        f"{artifact.folder}: fake is not used, its ids differ from the recorded ones"
    ]
    with pytest.raises(ArtifactError, match=REFUSED):
        choose_tokenizer(artifact, "fake", 1)


def test_accelerator_that_fails(artifact: Artifact, fake: Any, caplog: pytest.LogCaptureFixture) -> None:
    fake.error = RuntimeError("no such model")
    with caplog.at_level(logging.INFO, "portvec"):
        assert choose_tokenizer(artifact, "auto", 1).name == CACHING
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", f"{artifact.folder}: fake is not used (no such model)")
    ]
    with pytest.raises(ArtifactError, match=REFUSED):
        choose_tokenizer(artifact, "fake", 1)


def test_the_next_accelerator_is_tried(
    artifact: Artifact, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(FakeAccelerator):
        name = "broken"
        error = RuntimeError("broken")

    accelerators: dict[str, Any] = {"broken": Broken, "fake": fake}
    monkeypatch.setattr(selection, "ACCELERATORS", accelerators)
    assert choose_tokenizer(artifact, "auto", 1).name == "fake"


def test_nothing_is_loaded_before_it_is_needed(artifact: Artifact, fake: Any) -> None:
    fake.error = AssertionError("must not be loaded")
    assert choose_tokenizer(artifact, "auto", 1).tokenize(["return the value"]).lists()[0]


def test_models_that_cannot_be_cut_run_on_tokenizers(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "find_cutting_rules", lambda _: None)
    assert choose_tokenizer(artifact, "tokenizers", 1).name == "tokenizers"


@pytest.mark.parametrize(
    ("threads", "cores", "parallel"),
    [(1, 1, False), (1, 4, False), (2, 4, False), (3, 4, False), (4, 4, True), (5, 4, True), (2, 1, True)],
)
def test_pools_are_used_if_all_cores_are_granted(
    artifact: Artifact,
    fake: Any,
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
    cores: int,
    parallel: bool,
) -> None:
    given: list[bool] = []

    class Plain(PlainEncoder):
        def __init__(self, path: Path, *, parallel: bool = True) -> None:
            given.append(parallel)
            super().__init__(path, parallel=parallel)

    class Recording(fake):  # type: ignore[misc]
        def __init__(self, path: Path, *, parallel: bool) -> None:
            given.append(parallel)
            super().__init__(path, parallel=parallel)

    monkeypatch.setattr(selection, "PlainEncoder", Plain)
    accelerators: dict[str, Any] = {"fake": Recording}
    monkeypatch.setattr(selection, "ACCELERATORS", accelerators)
    monkeypatch.setattr(selection, "available_cores", lambda: cores)
    choose_tokenizer(artifact, "tokenizers", threads)
    assert given == [parallel]
    choose_tokenizer(artifact, "fake", threads)
    assert given == [parallel] * 2
    assert choose_tokenizer(artifact, "auto", threads).name == "fake"
    assert given == [parallel] * 4
