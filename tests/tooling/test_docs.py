"""The documentation's commands and code do what it shows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from project import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> Iterator[tuple[str, list[str]]]:
    for block in blocks("console"):
        for command in block.split("$ ")[1:]:
            line, *output = command.splitlines()
            yield line, output


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the README's commands find what they name, and may write."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("models", "examples", "docs", "README.md"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def run(command: str, project: Path) -> list[str]:
    portvec = f"{shlex.quote(sys.executable)} -m portvec"
    if command == "make demo":  # without its set-up, whose result runs this test
        makefile = (ROOT / "Makefile").read_text()
        recipe = re.search(r"^demo: setup.*\n((?:\t.*\n)+)", makefile, flags=re.MULTILINE)
        assert recipe
        command = (
            recipe[1]
            .replace("\t@", "")
            .replace("$(BIN)/python", sys.executable)
            .replace("$(BIN)/portvec", portvec)
        )
        command = command.replace("$(MODEL)", "models/minilm-l6-v2-256")
    result = subprocess.run(
        command.replace(".venv/bin/portvec", portvec),
        shell=True,
        cwd=project,
        env={**os.environ, "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=True,
    )
    return result.stdout.splitlines()


@pytest.mark.skipif(sys.platform == "win32", reason="the README's shell is POSIX's")
def test_commands_print_what_the_readme_shows(project: Path) -> None:
    shown = list(commands())
    assert len(shown) == 7
    for command, expected in shown:
        got = run(command, project)
        assert [NUMBER.sub("N", line) for line in got] == [NUMBER.sub("N", line) for line in expected], (
            command
        )
        for line, expected_line in zip(got, expected, strict=True):
            numbers = [float(number) for number in NUMBER.findall(line)]
            # Last digits and rounding errors depend on the processor.
            near = [float(number) for number in NUMBER.findall(expected_line)]
            assert numbers == pytest.approx(near, rel=2e-2, abs=1e-6), command


def test_python_runs_and_gives_what_its_comments_say(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(".venv/bin/portvec export models/minilm-l6-v2-256 -o build/a --overwrite", project)
    monkeypatch.chdir(project)
    checked = 0
    for block in blocks("python"):
        names: dict[str, object] = {}
        for line in block.splitlines():
            code, _, comment = (part.strip() for part in line.partition("#"))
            if not comment or " = " in code:
                exec(code, names)
                continue
            value = eval(code, names)
            if shape := re.match(r"float32 (\(.*?\))", comment):
                assert (str(value.dtype), str(value.shape)) == ("float32", shape[1])
            else:
                assert str(value) == comment
            checked += 1
    assert checked == 5


def test_portvec_is_installed_from_files_while_no_index_has_it() -> None:
    commands = [
        command
        for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")]
        for command in re.findall(r"^.*pip install .*$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    ]
    assert len(commands) > 15
    named = [command for command in commands if re.search(r"pip install[^|`]*['\s]portvec\b", command)]
    assert [command for command in named if "--find-links" not in command] == []


def test_links_lead_somewhere() -> None:
    links = [
        (path, target)
        for path in [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("models/**/*.md")]
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8"))
    ]
    assert len(links) > 50
    assert [(path.name, target) for path, target in links if not (path.parent / target).exists()] == []
