"""`portvec export`: its options."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from command_line import RunPortvec
from portvec import StaticEmbedder
from portvec._artifact.folder import open_artifact
from portvec._cli.main import cli
from stock_graphs import prove_less


def test_options_of_export(portvec: RunPortvec, tiny_model: Path, tmp_path: Path) -> None:
    options = ["--dtype", "float16", "--dim", "8", "--max-length", "none", "--no-normalize", "--single-file"]
    for overwrite in ([], ["--overwrite"]):
        result = portvec("export", tiny_model, "-o", "out", *options, *overwrite)
        assert result.returncode == 0
        assert result.stderr.startswith("out: 800 x 8 float16, ")
        assert result.stderr.count("\n") == 1
    manifest = StaticEmbedder.load(tmp_path / "out").manifest
    assert (manifest.dim, manifest.dtype, manifest.max_length) == (8, "float16", None)
    assert manifest.normalize is False
    assert not (tmp_path / "out" / "onnx" / "model.onnx_data").exists()


@pytest.mark.parametrize(
    ("arguments", "kinds"),
    [
        ("-o out --text-input", ["strings"]),
        ("--text-input -o out", ["strings"]),
        ("--text-input codepoints -o out", ["codepoints"]),
        ("-o out --text-input=codepoints --text-input", ["strings", "codepoints"]),
        ("-o out --text-input codepoints,strings", ["strings", "codepoints"]),
    ],
)
def test_text_input_may_stand_anywhere_and_twice(
    portvec: RunPortvec,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    kinds: list[str],
) -> None:
    prove_less(monkeypatch)
    assert portvec("export", tiny_model, *arguments.split()).returncode == 0
    assert list(open_artifact(tmp_path / "out").manifest.text_inputs) == kinds
    shown = portvec("info", "out").stdout
    for kind in kinds:
        assert f"({kind}), " in shown
    assert portvec("verify", "out").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("--text-input A", "'A' is not one of 'strings', 'codepoints'"),
        ("--text-input strings,A A", "'A' is not one of 'strings', 'codepoints'"),
        ("A --text-input=", "no kind is named"),
        ("A --text-input ,", "no kind is named"),
    ],
)
def test_text_input_with_the_source_or_nothing_as_value(
    portvec: RunPortvec, tmp_path: Path, arguments: str, problem: str
) -> None:
    result = portvec("export", "-o", "out", *arguments.split())
    assert result.returncode == 2
    remedy = "write --text-input strings, or put --text-input after SOURCE"
    assert f"Invalid value for '--text-input': {problem}; {remedy}; see " in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "incomplete", "completed"),
    [
        ("text_input", "", ["strings", "codepoints"]),
        ("text_input", "strings,c", ["strings,codepoints"]),
        ("variants", "int8,f", ["int8,float32", "int8,float16"]),
    ],
)
def test_shells_complete_names(option: str, incomplete: str, completed: list[str]) -> None:
    command = cli.commands["export"]
    parameter = next(each for each in command.params if each.name == option)
    found = parameter.shell_complete(click.Context(command), incomplete)
    assert [each.value for each in found] == completed
