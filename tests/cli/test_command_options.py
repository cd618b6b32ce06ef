"""Options of the command line: which there are, what the help says of them, and completion in the shell."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from command_line import RunPortvec, clean_environment
from portvec import StaticEmbedder
from portvec._cli.main import cli
from project import ROOT

COMMANDS = sorted(cli.commands)
# Where a model is, and how it is run; which commands have each.
WHERE, HOW = {"revision", "subfolder", "token"}, {"threads", "tokenizer"}
EXPECTED = {
    "bench": WHERE | HOW,
    "embed": WHERE | HOW,
    "search": WHERE | HOW,
    "export": WHERE,
    "info": WHERE,
    "models": set(),
    "verify": WHERE,
    "pull": WHERE,
    "push": {"revision", "token"},
}


def options_of(command: str) -> dict[str, click.Option]:
    return {each.name or "": each for each in cli.commands[command].params if isinstance(each, click.Option)}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_have_the_options_of_loading_that_apply(command: str) -> None:
    options = options_of(command)
    assert options.keys() & (WHERE | HOW) == EXPECTED[command]
    assert options["quiet"].opts == ["-q", "--quiet"]
    parameters = inspect.signature(StaticEmbedder.load).parameters
    for name in EXPECTED[command]:
        assert options[name].opts == [f"--{name}"]
        assert name in parameters


@pytest.mark.parametrize("command", COMMANDS)
def test_options_are_explained(portvec: RunPortvec, command: str) -> None:
    for name, option in options_of(command).items():
        assert (option.help or "").endswith((".", "]")), name
    shown = portvec(command, "--help", COLUMNS="200").stdout
    choices = [
        option.type for option in options_of(command).values() if isinstance(option.type, click.Choice)
    ]
    assert all(f"[{'|'.join(each.choices)}]" in shown for each in choices)


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_summaries_are_whole(portvec: RunPortvec, columns: int) -> None:
    shown = " ".join(portvec("--help", COLUMNS=str(columns)).stdout.split())
    assert "..." not in shown.replace("[ARGS]...", "")
    for command in COMMANDS:
        summary = " ".join((cli.commands[command].help or "").split("\n\n")[0].split())
        assert f" {command} {summary}" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_use_points_to_the_help_of_the_command(portvec: RunPortvec, command: str) -> None:
    needs_arguments = any(parameter.required for parameter in cli.commands[command].params)
    for arguments in ([command, "--badopt"], [command] if needs_arguments else [command, "surplus"]):
        result = portvec(*arguments)
        assert result.returncode == 2
        assert result.stderr.endswith(f"; see 'portvec {command} --help'\n")
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("export A -o out --dtype int3", "'int3' is not one of 'float32', 'float16', 'int8', 'int4'"),
        ("export A -o out --text-input bytes", "'bytes' is not one of 'strings', 'codepoints'"),
        ("export A -o out --variants int8,int3", "'int3' is not one of 'float32', 'float16', 'int8', 'int4'"),
        (
            "embed A x --tokenizer fast",
            "'fast' is not one of 'auto', 'compiled', 'tokenizers', 'graph', 'nanotoken'",
        ),
        ("embed A x --threads 0", "0 is not in the range x>=1"),
        ("bench A --compare torch", "'torch' is not one of 'model2vec', 'fastembed'"),
    ],
)
def test_refused_values_come_with_the_choices(portvec: RunPortvec, arguments: str, message: str) -> None:
    result = portvec(*arguments.split())
    assert result.returncode == 2
    assert message in result.stderr


def test_options_reach_the_model(
    portvec: RunPortvec, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "texts.txt").write_text("x\n", encoding="utf-8")
    given: dict[str, object] = {}
    load = StaticEmbedder.load

    def record(source: str, **options: object) -> StaticEmbedder:
        given.update(options, source=source)
        return load(source, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(StaticEmbedder, "load", record)
    options = {"revision": "r", "subfolder": tiny.name, "token": "t", "tokenizer": "tokenizers"}
    options["semantics"] = "model2vec"
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    for command in (["embed", tmp_path, "x"], ["search", tmp_path, "x", "-i", "texts.txt"]):
        given.clear()
        assert portvec(*command, *flags, "--threads", "3").returncode == 0
        assert given == {"source": str(tmp_path), **options, "threads": 3}


def test_quiet_leaves_errors_only(portvec: RunPortvec, tiny: Path, tiny_model: Path, tmp_path: Path) -> None:
    for command in (["export", tiny_model, "-o", "out"], ["embed", tiny, "x", "-o", "out.npy"]):
        assert portvec(*command).stderr != ""
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        (tmp_path / "out.npy").unlink(missing_ok=True)
        result = portvec(*command, "-q")
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert portvec("embed", "nowhere", "x", "-q").stderr.startswith("portvec: error: nowhere: no such folder")


@pytest.mark.parametrize("quiet", [False, True])
def test_quiet_hides_progress_bars_of_downloads(quiet: bool, tmp_path: Path) -> None:
    code = (
        "import sys; from portvec._cli.main import run; from unittest import mock\n"
        "sys.stderr.isatty = lambda: True\n"
        f"run(['embed', 'nowhere', 'x', *{['-q'] * quiet}])\n"
        "from portvec._hub.progress import TerminalProgress\n"
        "print(TerminalProgress(total=1).disable)"
    )
    env = clean_environment(tmp_path / "home", {})
    result = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120
    )
    assert result.stdout == ("True\n" if quiet else "None\n")  # None: shown on a terminal


SHELLS = ("bash", "zsh", "fish")


def ask(shell: str, words: list[str]) -> dict[str, Any]:
    """Return the variables with which a shell asks what may follow these words."""
    if shell == "fish":
        return {"COMP_WORDS": " ".join(words[:-1]), "COMP_CWORD": words[-1]}
    return {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("portvec ex", "export"),
        ("portvec export --dty", "--dtype"),
        ("portvec export a --dtype int", "int8"),
        ("portvec embed --tokenizer nan", "nanotoken"),
        ("portvec info buil", "dir"),
    ],
)
def test_completion(portvec_process: RunPortvec, shell: str, line: str, expected: str) -> None:
    env: dict[str, Any] = {"_PORTVEC_COMPLETE": f"{shell}_complete", **ask(shell, line.split())}
    result = portvec_process(**env)
    assert (result.returncode, result.stderr) == (0, "")
    assert expected in re.split(r"[,\t\n]", result.stdout)


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_script(portvec_process: RunPortvec, shell: str, tmp_path: Path) -> None:
    if shell == "bash" and shutil.which("bash") is None:
        pytest.skip("click asks bash for its version")
    script = portvec_process(_PORTVEC_COMPLETE=f"{shell}_source")
    assert (script.returncode, script.stderr) == (0, "")
    assert f"_PORTVEC_COMPLETE={shell}_complete" in script.stdout
    if shutil.which(shell):
        (tmp_path / "script").write_text(script.stdout, encoding="utf-8")
        subprocess.run([shell, "-n", tmp_path / "script"], check=True, timeout=60)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_documentation_has_the_line_for_each_shell(shell: str) -> None:
    page = (ROOT / "docs" / "faq.md").read_text(encoding="utf-8")
    (file, line) = re.findall(rf"^\| {shell}\b.* \| `(.*)` \| `(.*)` \|$", page, flags=re.MULTILINE)[0]
    assert shell in file
    assert f"_PORTVEC_COMPLETE={shell}_source portvec" in line


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="needs bash")
def test_completion_in_bash(portvec_process: RunPortvec, tmp_path: Path) -> None:
    (tmp_path / "portvec").write_text(f'#!/bin/sh\nexec {sys.executable} -m portvec "$@"\n', encoding="utf-8")
    (tmp_path / "portvec").chmod(0o755)
    program = """
eval "$(_PORTVEC_COMPLETE=bash_source portvec)"
COMP_WORDS=(portvec ver) COMP_CWORD=1 COMP_LINE="portvec ver" COMP_POINT=11
_portvec_completion portvec
echo "${COMPREPLY[@]}"
"""
    env = clean_environment(tmp_path / "home", {})
    env["PATH"] = f"{tmp_path}{os.pathsep}{env['PATH']}"
    result = subprocess.run(["bash", "-c", program], env=env, capture_output=True, text=True, timeout=120)
    assert (result.stdout, result.stderr) == ("verify\n", "")
