"""A damaged or hostile portvec.vocabulary: it is refused by name, or it gives ids, whatever the bytes are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tokenizers import Tokenizer, normalizers, pre_tokenizers

import matrix
import tiny_models
from command_line import RunPortvec
from damage import replace_file
from damaged_vocabularies import MANY, TEXTS, damage, use, with_checksum
from portvec import StaticEmbedder, verify
from portvec._artifact.folder import open_artifact
from portvec._tokenization.selection import choose_tokenizer
from portvec._vocabulary.file import pack_vocabulary, read_vocabulary
from portvec.errors import ArtifactError
from portvec_export import export_model
from project import FUZZ, ROOT
from shared import make_once

NAME = "portvec.vocabulary"


def word_level() -> Tokenizer:
    tokenizer = tiny_models.tokenizer("wordlevel")
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "WordPiece": lambda: tiny_models.tokenizer("wordpiece"),
    "Unigram": matrix.unigram_sentencepiece,
    "Unigram, added tokens": matrix.unigram_xlmr,
    "BPE": matrix.bpe_byte_level,
    "BPE, bytes": matrix.bpe_sentencepiece,
    "WordLevel": word_level,
}


@pytest.fixture(scope="module", params=KINDS)
def compiled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of each kind; read-only."""
    model = tmp_path_factory.mktemp("model") / "model"
    return make_once(
        tmp_path_factory,
        f"compiled {request.param}",
        lambda folder: export_model(tiny_models.save(model, tokenizer=KINDS[request.param]()), folder),
    )


def cut(content: bytes) -> bytes:
    return content[:-100]


def other_version(content: bytes) -> bytes:
    return content[:8] + b"\2\0\0\0" + content[12:]


def flip(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def forge(change: Callable[[dict[str, Any], dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    """Return a function that changes facts and arrays, and writes the right checksum."""

    def changed(content: bytes) -> bytes:
        file = read_vocabulary(content, "here")
        facts = json.loads(json.dumps(file.facts))
        arrays = {name: array.copy() for name, array in file.arrays.items()}
        change(facts, arrays)
        return pack_vocabulary(facts, arrays)

    return changed


def nest(levels: int) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def change(facts: dict[str, Any], arrays: dict[str, Any]) -> None:
        step: Any = {"type": "Lowercase"}
        for _ in range(levels):
            step = {"type": "Sequence", "normalizers": [step]}
        facts["tokenizer"]["normalizer"] = step

    return change


def nested_json(content: bytes) -> bytes:
    header = b"[" * 100_000
    return with_checksum(bytes(16) + len(header).to_bytes(8, "little") + header)


def add_token(**token: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return lambda facts, _: facts["tokenizer"]["added_tokens"].append(
        {"id": 1, "content": "<x>", "special": True, **flags, **token}
    )


GREEDY = {"type": "Precompiled", "precompiled_charsmap": b64encode(b"\0\0\0\xffabcde").decode()}

DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", r"has 0 bytes, expected at least 24; export the model again"),
    "no vocabulary": (
        lambda _: b"x" * 100,
        r"begins with b'xxxxxxxx', expected b'PORTVOCB'; export the model again",
    ),
    "cut": (cut, "the checksum does not match the content; copy the folder again, or export again"),
    "a flipped bit": (
        flip,
        "the checksum does not match the content; copy the folder again, or export again",
    ),
    "another version": (
        other_version,
        "version 2 of the format, but this portvec reads 1; upgrade portvec, or export the model again",
    ),
    "nested": (nested_json, r"the header is not JSON \(nested too deeply\); export the model again"),
    "no model": (
        forge(lambda facts, _: facts.pop("model")),
        "field model is missing; export the model again",
    ),
    "no tokenizer": (
        forge(lambda facts, _: facts.pop("tokenizer")),
        r"cannot be used \('tokenizer'\); export the model again",
    ),
    "a charsmap that asks for gigabytes": (
        forge(lambda facts, _: facts["tokenizer"].update(normalizer=GREEDY)),
        r"cannot be used \(a charsmap of 9 bytes says that its trie has 4278190080\); export the model again",
    ),
    "tokenizer of another type": (
        forge(lambda facts, _: facts.update(tokenizer=[])),
        r"cannot be used \(.+\); export the model again",
    ),
    "no added tokens": (
        forge(lambda facts, _: facts["tokenizer"].pop("added_tokens")),
        r"cannot be used \('added_tokens'\); export the model again",
    ),
    "added token of another type": (
        forge(add_token(content=7)),
        r"cannot be used \(.+\); export the model again",
    ),
    "other steps": (
        forge(lambda facts, _: facts["tokenizer"].update(pre_tokenizer=None)),
        "has no rules for cutting texts into words; export the model again",
    ),
    "characters of another type": (
        forge(lambda facts, _: facts.update(characters=1)),
        "field characters has type int, expected dict; export the model again",
    ),
    "no array": (forge(lambda _, arrays: arrays.pop("base")), "has no array 'base'; export the model again"),
    "no map": (
        forge(lambda _, arrays: arrays.pop("map_text")),
        "has no array 'map_text'; export the model again",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_refused_by_name(tiny: Path, portvec: RunPortvec, kind: str) -> None:
    change, fault = DAMAGE[kind]
    replace_file(tiny, NAME, change((tiny / NAME).read_bytes()))
    message = f"{re.escape(str(tiny / NAME))}: {fault}"
    for tokenizer in ("auto", "compiled"):
        with pytest.raises(ArtifactError, match=f"^{message}$"):
            StaticEmbedder.load(tiny, tokenizer=tokenizer)
    with pytest.raises(ArtifactError, match=f"^{message}$"):
        verify(tiny)
    for command in (["embed", tiny, "a text"], ["verify", tiny], ["info", tiny]):
        result = portvec(*command)
        assert result.returncode == 1
        assert re.fullmatch(f"portvec: error: {message}\n", result.stderr)
    assert StaticEmbedder.load(tiny, tokenizer="tokenizers").encode("the value").any()


@pytest.mark.parametrize("levels", [50, 200, 400])
def test_nested_steps(tiny: Path, levels: int) -> None:
    """A library may refuse what Python reads, or the other way round."""
    expected = ids_of(StaticEmbedder.load(tiny, tokenizer="tokenizers"), ["the value", "the [UNK]"])
    replace_file(tiny, NAME, forge(nest(levels))((tiny / NAME).read_bytes()))
    got: list[list[int]] = []
    message = f"{tiny / NAME}: "
    try:
        embedder = StaticEmbedder.load(tiny)
        got += ids_of(embedder, ["the value"])
        got += ids_of(embedder, ["the [UNK]"])
    except ArtifactError as error:
        message = str(error)
    assert message.startswith(f"{tiny / NAME}: ")
    assert "\n" not in message
    assert got == expected[: len(got)]


def ids_of(embedder: StaticEmbedder, texts: list[str]) -> list[list[int]]:
    return embedder.tokenize(texts).lists()


@pytest.mark.parametrize("token_id", [-1, -800, 800, 2**31 - 1])
@pytest.mark.parametrize("kind", ["auto", "compiled"])
def test_ids_beyond_the_table(tiny: Path, token_id: int, kind: str) -> None:
    the = Tokenizer.from_file(str(tiny / "tokenizer.json")).token_to_id("the")

    def change(_: dict[str, Any], arrays: dict[str, Any]) -> None:
        assert (arrays["token"] == the).sum() == 1
        arrays["token"][arrays["token"] == the] = token_id

    texts = ["a value", "return the function"]
    expected = ids_of(StaticEmbedder.load(tiny, tokenizer="tokenizers"), texts)
    replace_file(tiny, NAME, forge(change)((tiny / NAME).read_bytes()))
    embedder = StaticEmbedder.load(tiny, tokenizer=kind, threads=1)
    if token_id < 0:  # no piece ends where it did, so the word is written in other pieces
        got = ids_of(embedder, texts)
        assert got[0] == expected[0]
        assert the not in got[1]
        assert min(got[1]) >= 0
        return
    message = (
        rf"^{re.escape(str(tiny / NAME))}: has the token id {token_id}, but the table has vectors for 0 to "
        r"\d+; copy the folder again, or export again$"
    )
    for batch in ("the", ["the"], ["a", "b the c"], ["the value"] * 40):
        with pytest.raises(ArtifactError, match=message):
            embedder.encode(batch)
    with pytest.raises(ArtifactError, match=message):
        embedder.tokenize(["the"])
    assert ids_of(embedder, texts[:1]) == expected[:1]


@pytest.mark.parametrize("token_id", [-1, -5, -(2**40), 800, 2**31, 2**63, 10**30, "1", None, 1.5])
def test_added_tokens_with_ids_beyond_the_table(tiny: Path, token_id: Any) -> None:
    replace_file(tiny, NAME, forge(add_token(id=token_id))((tiny / NAME).read_bytes()))
    embedder = StaticEmbedder.load(tiny, tokenizer="compiled")
    for texts in ("a <x>", ["a <x>"], ["a <x> b"] * 40):
        with pytest.raises(ArtifactError, match=rf"^{re.escape(str(tiny / NAME))}: (has the token|fails on)"):
            embedder.encode(texts)
    assert embedder.encode(["a value"]).any()


def test_ids_of_bytes_beyond_the_table(tmp_path: Path) -> None:
    model = tiny_models.save(tmp_path / "model", tokenizer=matrix.bpe_sentencepiece())
    artifact = export_model(model, tmp_path / "artifact")
    size = open_artifact(artifact).manifest.vocabulary_size

    def change(_: dict[str, Any], arrays: dict[str, Any]) -> None:
        arrays["byte_ids"][arrays["byte_ids"] >= 0] = size

    replace_file(artifact, NAME, forge(change)((artifact / NAME).read_bytes()))
    embedder = StaticEmbedder.load(artifact)
    for texts in ("ɸ", ["ɸ"], ["ɸ"] * 40):
        with pytest.raises(ArtifactError, match=rf"{NAME}: has the token id {size}, but the table has"):
            embedder.encode(texts)


def test_what_fails_on_a_text_names_the_file(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no such thing")

    embedder = StaticEmbedder.load(tiny, tokenizer="compiled")
    monkeypatch.setattr("portvec._vocabulary.wordpiece.WordPiece.encode", fail)
    monkeypatch.setattr("portvec._vocabulary.wordpiece.WordPiece.encode_one", fail)
    message = (
        rf"^{re.escape(str(tiny / NAME))}: fails on texts that are valid \(no such thing\); run "
        "'portvec verify' on the artifact, and export again if that fails too$"
    )
    for texts in ("the", ["the"], ["the value"] * 40):
        with pytest.raises(ArtifactError, match=message):
            embedder.encode(texts)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_what_should_stop_the_process_passes(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def fail(*_: object) -> None:
        raise error

    embedder = StaticEmbedder.load(tiny, tokenizer="compiled")
    with monkeypatch.context() as patch:
        patch.setattr("portvec._vocabulary.wordpiece.WordPiece.encode", fail)
        patch.setattr("portvec._vocabulary.wordpiece.WordPiece.encode_one", fail)
        for texts in ("the", ["the"], ["the value"] * 40):
            with pytest.raises(error):
                embedder.encode(texts)
    monkeypatch.setattr("portvec._vocabulary.wordpiece.WordPiece.__init__", fail)
    with pytest.raises(error):
        StaticEmbedder.load(tiny, tokenizer="compiled")


@pytest.mark.skipif(sys.platform == "win32", reason="needs sparse files")
def test_file_of_300_megabytes(tiny: Path) -> None:
    os.truncate(tiny / NAME, 300_000_000)
    manifest = json.loads((tiny / "portvec.json").read_text())
    manifest["files"][NAME]["size"] = 300_000_000
    (tiny / "portvec.json").write_text(json.dumps(manifest))
    message = (
        rf"{NAME}: 300,000,000 bytes, and such a file has at most 268,435,456; do not use this artifact$"
    )
    with pytest.raises(ArtifactError, match=message):
        StaticEmbedder.load(tiny)


@pytest.mark.fuzz
def test_damage_is_refused_or_does_no_harm(compiled: Path) -> None:
    """Bytes, runs, zeroed blocks, blocks that swap places, an end: refusal, or the right ids."""
    artifact = open_artifact(compiled)
    content = bytes(artifact.contents[NAME])
    plain = choose_tokenizer(artifact, "tokenizers")
    expected = [plain.tokenize(TEXTS).lists()] * 2 + [plain.tokenize(MANY).lists()]
    assert use(artifact, content) == (expected, "")
    random = Random(compiled.name)
    refused = 0
    for _ in range(100 * FUZZ):
        found, message = use(artifact, damage(random, content))
        assert found == expected or message.startswith(f"{compiled / NAME}: "), message
        assert "\n" not in message
        refused += not found
    assert refused > 50 * FUZZ


@pytest.mark.fuzz
def test_forgeries_do_no_harm(compiled: Path) -> None:
    """The checksum is right: refusal, or valid ids. A process with little memory uses them, one by one."""
    count = 60 * FUZZ
    result = subprocess.run(
        [sys.executable, "-m", "damaged_vocabularies", compiled, f"{compiled.name} {FUZZ}", str(count)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "support"), *sys.path])},
    )
    assert result.returncode == 0, result.stderr[-3000:]
    printed = json.loads(result.stdout)
    assert 0 < printed["used"] < count
    assert all(message.startswith(f"{compiled / NAME}: ") for message in printed["messages"])
    assert all("\n" not in message for message in printed["messages"])
