"""Nothing that a command prints acts on a terminal, whatever names and texts hold."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from command_line import Result, RunPortvec
from portvec._terminal import escape, escape_json

# A title, a colour, a bell, a backspace, a carriage return, a C1 control, a line break, DEL, bidi controls, a
# line separator.
HOSTILE = "a\x1b]0;t\x07\x1b[31m\b\rb\x9b2J\n\x7f\u202ec\u2066\u200f\u2028d"

# Directions that reorder the text around a character (Unicode Standard Annex #9).
DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
MARKS = "\u200e\u200f\u061c"

posix_names = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such file names")


def acts_on_terminals(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(character) in DIRECTIONS
        or character in MARKS
    )


def check_harmless(result: Result) -> None:
    for output in (result.stdout, result.stderr):
        assert sorted({each for each in output if acts_on_terminals(each)} - {"\n"}) == []
    assert result.stderr.count("\n") <= 1


def test_every_such_character_is_escaped_and_no_other() -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1)]
    changed = {each for each in characters if escape(each) != each}
    assert changed >= {each for each in characters if acts_on_terminals(each)}
    assert "".join(sorted(changed - {each for each in characters if acts_on_terminals(each)})) == (
        "\u206a\u206b\u206c\u206d\u206e\u206f"  # deprecated formatting characters
    )
    assert all(escape(each).isascii() for each in changed)


def test_escaped_json_means_the_same_and_keeps_its_lines() -> None:
    value = {HOSTILE: [HOSTILE, "日本\u200d", "\ud800", 1.5]}
    for document in (json.dumps(value, ensure_ascii=False), json.dumps(value, indent=2)):
        escaped = escape_json(document)
        assert json.loads(escaped) == value
        assert escaped.count("\n") == document.count("\n")
        assert {each for each in escaped if acts_on_terminals(each)} <= {"\n"}
    assert "日本" in escape_json(json.dumps("日本", ensure_ascii=False))


def strings(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every str in a JSON value."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from strings(each, (*path, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from strings(each, (*path, index))


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a JSON value."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(each)


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        value = value[name]
    return value


@pytest.fixture
def classifier(tiny: Path) -> Path:
    """An artifact whose manifest has every field that a manifest may have."""
    path = tiny / "portvec.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["source"].update(id="id", revision="revision", subfolder="subfolder")
    manifest["tokenizer"]["model"] = "BPE"  # so that nothing needs the recorded texts, which have no logits
    manifest["head"] = {"activation": "softmax", "classes": ["one", "two"], "outputs": 2}
    cosine = {"texts": 1, "min": 1.0, "mean": 1.0}
    quality = {"conformance": cosine, "paragraphs": cosine}
    variant = {"graph": "onnx/model.onnx", "conformance": "conformance.json", "quality": quality}
    manifest.update(variants={"int8": variant}, quality=quality)
    path.write_text(json.dumps(manifest), encoding="utf-8")
    return tiny


def commands(artifact: Path) -> list[list[object]]:
    return [
        ["info", artifact],
        ["info", artifact, "--json"],
        ["verify", artifact],
        ["verify", artifact, "--json"],
        ["embed", artifact, "x"],
        ["search", artifact, "x", "-i", artifact / "tokenizer.json", "--format", "txt"],
        ["search", artifact, "x", "-i", artifact / "tokenizer.json", "--format", "txt", "--json"],
        ["export", artifact, "-o", artifact.parent / "out"],
        ["push", artifact, "owner/name"],
    ]


def test_every_string_of_a_manifest(portvec: RunPortvec, classifier: Path) -> None:
    path = classifier / "portvec.json"
    text = path.read_text(encoding="utf-8")
    places = list(strings(json.loads(text)))
    assert len(places) > 20
    shown = set()
    for place in places:
        manifest = json.loads(text)
        at(manifest, place[:-1])[place[-1]] += HOSTILE
        path.write_text(json.dumps(manifest), encoding="utf-8")
        for command in commands(classifier):
            result = portvec(*command)
            check_harmless(result)
            if r"\x1b" in result.stdout + result.stderr:
                shown.add(place)
    assert shown >= {
        ("source", "id"),
        ("source", "revision"),
        ("source", "subfolder"),
        ("reference",),
        ("dtype",),
        ("tokenizer", "model"),
        ("head", "classes", 0),
        ("head", "activation"),
    }


def test_every_name_in_a_manifest(portvec: RunPortvec, classifier: Path) -> None:
    path = classifier / "portvec.json"
    text = path.read_text(encoding="utf-8")
    count = len(list(objects(json.loads(text))))
    shown = 0
    for index in range(count):
        manifest = json.loads(text)
        names = list(objects(manifest))[index]
        for name in list(names):
            names[name + HOSTILE] = names[name]
        path.write_text(json.dumps(manifest), encoding="utf-8")
        for command in commands(classifier):
            result = portvec(*command)
            check_harmless(result)
            shown += r"\x1b" in result.stdout + result.stderr
    assert shown > len(commands(classifier))


def test_info_prints_a_line_for_each_fact(portvec: RunPortvec, classifier: Path) -> None:
    path = classifier / "portvec.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["head"]["classes"][0] = "x\nsize           1 byte"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    result = portvec("info", classifier)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line for line in lines if line.startswith("size ")] != []
    assert r"head           softmax over 2 classes: x\nsize           1 byte, two" in lines


@posix_names
def test_names_of_folders_and_files(portvec: RunPortvec, tiny: Path, tmp_path: Path) -> None:
    name = HOSTILE.replace("/", "")
    artifact = Path(shutil.copytree(tiny, tmp_path / f"artifact{name}"))
    texts = tmp_path / f"texts{name}.jsonl"
    texts.write_text('{"text": "x"}\nbroken', encoding="utf-8")
    every: list[list[object]] = [
        *commands(artifact),
        *commands(tmp_path / f"nowhere{name}"),
        ["embed", artifact, "x", "-o", tmp_path / f"out{name}.npy"],
        ["embed", artifact, "x", "-o", tmp_path / f"out{name}"],
        ["embed", artifact, "-i", texts],
        ["embed", artifact, "-i", tmp_path / name],
        ["search", artifact, "x", "-i", texts, "--field", name],
        ["pull", f"owner/{name}", "-o", "out"],
        [name],
        ["embed", f"--{name}"],
        ["search", artifact, "x", "-k", name],
    ]
    shown = 0
    for command in every:
        result = portvec(*command)
        check_harmless(result)
        shown += r"\x1b" in result.stdout + result.stderr
    assert shown > len(every) / 2


@posix_names
def test_what_the_library_logs(portvec_process: RunPortvec, tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("nanotoken")
    path = tiny / "conformance.json"
    content = re.sub(r'("token_ids": \[\d)', r"\g<1>1", path.read_text(encoding="utf-8")).encode()
    path.write_bytes(content)
    manifest = json.loads((tiny / "portvec.json").read_text(encoding="utf-8"))
    manifest["files"][path.name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (tiny / "portvec.json").write_text(json.dumps(manifest), encoding="utf-8")
    artifact = tiny.rename(tmp_path / HOSTILE.replace("/", ""))
    result = portvec_process("info", artifact)
    check_harmless(result)
    assert result.returncode == 0
    assert "nanotoken is not used, its ids differ from the recorded ones" in result.stderr
    assert r"a\x1b]0;t" in result.stderr


def test_texts_that_are_found(portvec: RunPortvec, tiny: Path, tmp_path: Path) -> None:
    text = HOSTILE.replace("\n", "").replace("\r", "")
    for command in (["search", tiny, "value"], ["search", tiny, "value", "--json"], ["embed", tiny]):
        result = portvec(*command, stdin=f"value {text}\n")
        check_harmless(result)
        assert result.returncode == 0
    assert json.loads(result.stdout)["text"] == f"value {text}"
    (tmp_path / "texts.jsonl").write_text(json.dumps(HOSTILE) + "\n", encoding="utf-8")
    result = portvec("embed", tiny, "-i", "texts.jsonl", "-o", "out.jsonl")
    assert json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))["text"] == HOSTILE


@pytest.mark.parametrize("place", ["tokenizer.json", "conformance.json", "onnx/model.onnx"])
def test_content_of_other_files(portvec: RunPortvec, tiny: Path, place: str) -> None:
    """Errors of onnxruntime and tokenizers may quote what they read."""
    damage: dict[str, Callable[[str], str]] = {
        "tokenizer.json": lambda text: text.replace('"WordPiece"', json.dumps(HOSTILE)),
        "conformance.json": lambda text: text.replace('"token_ids"', json.dumps(HOSTILE)),
        "onnx/model.onnx": lambda text: text.replace("Gather", "Ga\x1b[1m"),
    }
    path = tiny / place
    content = damage[place](path.read_bytes().decode("latin-1")).encode("latin-1")
    assert content != path.read_bytes()
    path.write_bytes(content)
    manifest = json.loads((tiny / "portvec.json").read_text(encoding="utf-8"))
    manifest["files"][place] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (tiny / "portvec.json").write_text(json.dumps(manifest), encoding="utf-8")
    codes = set()
    for command in commands(tiny):
        result = portvec(*command)
        check_harmless(result)
        codes.add(result.returncode)
    assert 1 in codes
