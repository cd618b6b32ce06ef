"""A tokenizer.json on which the `tokenizers` library fails or panics: one error, which blames no text."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from tokenizers import Tokenizer

import matrix
import tiny_models
from command_line import RunPortvec
from damage import leave_to_tokenizers, replace_file
from damaged_tokenizers import damaged
from folders import contents
from portvec import StaticEmbedder
from portvec._artifact.folder import open_artifact
from portvec._tokenization.selection import choose_tokenizer
from portvec.errors import ArtifactError, InputError, PortvecError
from portvec_export import export_model
from project import FUZZ

KINDS: dict[str, Callable[[], Tokenizer]] = {
    "WordPiece": lambda: tiny_models.tokenizer("wordpiece"),
    "WordPiece, stored settings": matrix.stored_settings,
    "added tokens": matrix.added_tokens,
    "Unigram": matrix.unigram_sentencepiece,
    "Unigram, WhitespaceSplit": matrix.unigram_xlmr,
    "BPE": matrix.bpe_byte_level,
    "BPE, bytes": matrix.bpe_sentencepiece,
    "WordLevel": lambda: tiny_models.tokenizer("wordlevel"),
}
TEXTS = [
    "the value of a function",
    "",
    "日本語 naïve",
    "\0\x85 a\n b ",
    "x" * 200,
    "[UNK] <s>",
    "a  ▁ ▁▁a \u0301",
]
MANY = TEXTS * 30  # more than are encoded before a faster tokenizer takes over


def set_charsmap(state: dict[str, Any]) -> None:
    state["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": "/////w=="}


def set_fixed_length(state: dict[str, Any]) -> None:
    state["pre_tokenizer"] = {"type": "FixedLength", "length": 0}


def set_merges(state: dict[str, Any]) -> None:
    state["model"].update(merges=[["a", "b"]], continuing_subword_prefix="##")  # longer than "b"


# What the library does with each: while it loads, or later, with a text.
AT_LOAD: list[Callable[[dict[str, Any]], None]] = [set_charsmap, set_merges]
AT_ENCODE: list[Callable[[dict[str, Any]], None]] = [set_fixed_length]


def change(path: Path, function: Callable[[dict[str, Any]], None]) -> bytes:
    state = json.loads(path.read_text(encoding="utf-8"))
    function(state)
    return json.dumps(state).encode()


@pytest.fixture
def bpe_model(tmp_path: Path) -> Path:
    return tiny_models.save(tmp_path / "model", "bpe")


@pytest.fixture
def bpe(bpe_model: Path, tmp_path: Path) -> Path:
    return leave_to_tokenizers(export_model(bpe_model, tmp_path / "artifact"))


@pytest.mark.parametrize("function", AT_LOAD)
def test_what_fails_while_loading_names_the_file(
    bpe: Path, portvec: RunPortvec, function: Callable[[dict[str, Any]], None]
) -> None:
    replace_file(bpe, "tokenizer.json", change(bpe / "tokenizer.json", function))
    path = re.escape(str(bpe / "tokenizer.json"))
    message = rf"{path}: not a tokenizer that can be loaded \(.+\); copy or download it again"
    with pytest.raises(ArtifactError, match=f"^{message}$"):
        StaticEmbedder.load(bpe)
    for command in (["embed", bpe, "a text"], ["verify", bpe]):
        result = portvec(*command)
        assert result.returncode == 1
        assert re.fullmatch(f"portvec: error: {message}\n", result.stderr)


@pytest.mark.parametrize("function", AT_ENCODE)
@pytest.mark.parametrize("batch", ["a text", ["a text"], MANY], ids=["str", "one", "many"])
def test_what_fails_on_a_text_does_not_blame_the_text(
    bpe: Path, function: Callable[[dict[str, Any]], None], batch: Any
) -> None:
    replace_file(bpe, "tokenizer.json", change(bpe / "tokenizer.json", function))
    embedder = StaticEmbedder.load(bpe)
    message = (
        r"tokenizer\.json: fails on texts that are valid \(.+\); run 'portvec verify' on the "
        "artifact, and export again if that fails too$"
    )
    with pytest.raises(ArtifactError, match=message):
        embedder.encode(batch)
    with pytest.raises(InputError, match="lone surrogate"):  # which is not the tokenizer's fault
        embedder.encode("\ud800")


@pytest.mark.parametrize("function", [*AT_LOAD, *AT_ENCODE])
def test_a_source_is_refused(
    bpe_model: Path, tmp_path: Path, portvec: RunPortvec, function: Callable[[dict[str, Any]], None]
) -> None:
    path = bpe_model / "tokenizer.json"
    path.write_bytes(change(path, function))
    fault = "not a tokenizer that can be loaded"
    if function in AT_ENCODE:
        fault = "(model2vec|the tokenizer) fails (with this tokenizer|on unknown characters)"
    result = portvec("export", bpe_model, "-o", tmp_path / "out")
    assert result.returncode == 1
    assert re.fullmatch(rf"portvec: error: {re.escape(str(path))}: {fault} \(.+\); \w.+\n", result.stderr)
    assert not (tmp_path / "out").exists()


def test_errors_that_are_no_panics_become_one_error_too(tmp_path: Path) -> None:
    model = tiny_models.save(tmp_path / "words", "wordlevel")
    artifact = leave_to_tokenizers(export_model(model, tmp_path / "words-artifact"))

    def rename_unk(state: dict[str, Any]) -> None:
        state["model"]["unk_token"] = "missing"

    replace_file(artifact, "tokenizer.json", change(artifact / "tokenizer.json", rename_unk))
    with pytest.raises(ArtifactError, match=r"fails on texts that are valid \(.*UNK"):
        StaticEmbedder.load(artifact).encode("日本語")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_what_should_stop_the_process_passes(
    uncompiled: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    embedder = StaticEmbedder.load(uncompiled)
    with monkeypatch.context() as patch:
        patch.setattr("portvec._tokenization.library.encode", fail)
        with pytest.raises(error):
            embedder.encode("a text")
    monkeypatch.setattr("portvec._tokenization.library.load", fail)
    with pytest.raises(error):
        StaticEmbedder.load(uncompiled)


@pytest.mark.fuzz
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_damage_raises_nothing_but_errors_of_portvec(kind: str, tmp_path: Path) -> None:
    model = tmp_path / "model"
    tokenizer = KINDS[kind]()
    tiny_models.save(model, tokenizer=tokenizer)
    artifact = leave_to_tokenizers(export_model(model, tmp_path / "artifact"))
    files = contents(artifact)
    output = tmp_path / "output"

    @settings(
        max_examples=5 if FUZZ == 1 else 20 * FUZZ, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(damaged(tokenizer))
    def check(text: str) -> None:
        replace_file(artifact, "tokenizer.json", text.encode())
        (model / "tokenizer.json").write_text(text, encoding="utf-8")
        in_child(use)
        shutil.rmtree(output, ignore_errors=True)

    def use() -> None:
        run(lambda: StaticEmbedder.load(artifact).encode(TEXTS[0]))
        run(lambda: StaticEmbedder.load(artifact).encode(MANY))
        run(lambda: choose_tokenizer(open_artifact(artifact), at_once=True).tokenize(MANY))
        run(lambda: export_model(model, output))

    check()
    for name, content in files.items():
        (artifact / name).write_bytes(content)
    assert StaticEmbedder.load(artifact).encode(MANY).shape == (len(MANY), 24)


def in_child(call: Callable[[], None]) -> None:
    """Call in a process of its own, which `tokenizers` may abort or keep busy: nobody can catch that."""
    if not hasattr(os, "fork"):
        call()
        return
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(60)
            for number in (1, 2):  # a library that panics again and again would fill the disk
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            call()
            code = 0
        except BaseException:
            os.write(writer, traceback.format_exc().encode())
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        report = file.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGABRT, -signal.SIGALRM), report


def run(call: Callable[[], object]) -> None:
    """Call, and allow an error of portvec that is one line and does not blame the texts."""
    problem: PortvecError | None = None
    try:
        call()
    except PortvecError as error:
        problem = error
    assert not isinstance(problem, InputError)
    assert "\n" not in str(problem)
