"""The runner of other runtimes finds what is wrong, and docs/consumers.md shows what it ran."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import run_consumers
from consumer_rows import CONSUMERS, Consumer
from project import ROOT
from run_consumers import MARKERS, SCRIPTS, run, table, write

PAGE = (ROOT / "docs" / "consumers.md").read_text(encoding="utf-8")
TEXTS = ["a", "", "ö"]
EXPECTED = {"float32": np.array([[0.6, 0.8], [0, 0], [1, 0]], dtype=np.float32)}
RIGHT = "def embed(folder, texts, **options):\n    return [[0.6, 0.8], [0, 0], [1, 0]]\n"


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of environments, of which `this` is the tests' own."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPTS / "call.py", tmp_path / "scripts")
    monkeypatch.setattr(run_consumers, "SCRIPTS", tmp_path / "scripts")
    monkeypatch.setattr(run_consumers, "BUILD", tmp_path)
    monkeypatch.setattr(run_consumers, "ROOT", tmp_path)
    python = run_consumers.python_of("this")
    python.parent.mkdir(parents=True)
    if sys.platform == "win32":
        python.write_text("")
    else:
        # Not a link: Python would take it for the interpreter that the environment was made from.
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
    return tmp_path


def consumer(build: Path, script: str = RIGHT, **options: Any) -> Consumer:
    (build / "scripts" / "consumer.py").write_text(script)
    values = {
        "name": "Some",
        "package": "numpy",
        "environment": "this",
        "script": "consumer.py",
        "called": "embed",
        "runs": [("float32", {})],
        **options,
    }
    return Consumer(**values)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell script")
class TestRunner:
    def test_right_vectors_pass(self, build: Path) -> None:
        row = run(consumer(build), TEXTS, EXPECTED)
        assert (row.problem, row.version) == ("", np.__version__)
        assert row.worst <= 1e-7

    @pytest.mark.parametrize(
        ("script", "problem"),
        [
            (RIGHT.replace("0.8", "0.80001"), "^differs by more than 1e-06$"),
            (RIGHT.replace("0, 0", "float('nan'), 0"), "^differs by more than 1e-06$"),
            (RIGHT.replace("[0, 0], ", ""), r"^failed: gave vectors of shape \(2, 2\), expected \(3, 2\)$"),
            (
                "import nothing_of_this_name",
                "^failed: exit code 1, ModuleNotFoundError: No module named 'not",
            ),
            (
                "import urllib.request\ndef embed(*_):\n    urllib.request.urlopen('http://127.0.0.1:9/')",
                "^failed: exit code 1, .*consumers run offline",
            ),
        ],
    )
    def test_what_is_wrong_is_found(self, script: str, problem: str, build: Path) -> None:
        assert re.search(problem, run(consumer(build, script), TEXTS, EXPECTED).problem)

    def test_one_wrong_call_of_several_is_enough(self, build: Path) -> None:
        script = RIGHT.replace("0, 0", "options.get('x', 0), 0")
        for wrong in (0.5, float("nan")):
            runs = [("float32", {}), ("float32", {"x": wrong}), ("float32", {})]
            row = run(consumer(build, script, runs=runs), TEXTS, EXPECTED)
            assert row.problem == "differs by more than 1e-06"

    def test_nan_for_zero_is_allowed_by_name_and_elsewhere_not(self, build: Path) -> None:
        script = RIGHT.replace("0, 0", "float('nan'), float('nan')")
        assert run(consumer(build, script, zero_is_nan=True), TEXTS, EXPECTED).problem == ""
        script = RIGHT.replace("1, 0", "float('nan'), 0")
        assert run(consumer(build, script, zero_is_nan=True), TEXTS, EXPECTED).problem != ""

    def test_each_position_counts(self, build: Path) -> None:
        script = RIGHT.replace("return ", "return [[row, row] for row in ").rstrip() + "]\n"
        assert run(consumer(build, script), TEXTS, EXPECTED).problem == ""
        script = script.replace("[row, row]", "[row, [x + 1 for x in row]]")
        assert run(consumer(build, script), TEXTS, EXPECTED).problem != ""


class TestMissing:
    def test_node(self, build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(build))
        row = run(replace(consumer(build), script="x.mjs"), TEXTS, EXPECTED)
        assert row.missing
        assert row.problem == "not run: node missing, install Node.js 20 or newer with npm"

    def test_environment(self, build: Path) -> None:
        row = run(consumer(build, environment="other"), TEXTS, EXPECTED)
        assert row.missing
        assert re.search(r"^not run: other.*python.* missing, run make test-consumers$", row.problem)

    @pytest.mark.parametrize(("arguments", "code"), [([], 1), (["--allow-missing"], 0)])
    def test_is_an_error_unless_allowed(
        self,
        arguments: list[str],
        code: int,
        build: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(run_consumers, "prepare", lambda: (TEXTS, EXPECTED))
        monkeypatch.setattr(run_consumers, "CONSUMERS", [consumer(build, environment="other")])
        page = build / "page.md"
        page.write_text("before\n" + "old\n".join(MARKERS) + "after\n", encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["run_consumers.py", *arguments, "--write", str(page)])
        assert run_consumers.main() == code
        printed = capsys.readouterr().out
        assert "| Some |  | embed | not run: " in printed
        assert printed.endswith("0 passed, 0 failed, 1 not run\n")
        if code:  # a table that is not all good stays out of the documentation
            assert page.read_text(encoding="utf-8") == "before\n" + "old\n".join(MARKERS) + "after\n"


def test_write_replaces_what_is_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n" + "old\n".join(MARKERS) + "after\n", encoding="utf-8")
    write(page, table([]))
    assert page.read_text(encoding="utf-8") == "before\n" + table([]).join(MARKERS) + "after\n"


class TestPage:
    def test_quotes_every_script_as_it_is(self) -> None:
        scripts = {path.name for path in SCRIPTS.iterdir() if path.suffix in (".py", ".mjs")}
        scripts -= {"call.py", "call.mjs"}
        assert scripts == {consumer.script for consumer in CONSUMERS}
        for name in scripts:
            language = "js" if name.endswith(".mjs") else "python"
            block = f"```{language}\n{(SCRIPTS / name).read_text(encoding='utf-8')}```\n"
            assert f"[{name}](../tests/consumers/{name}):\n\n{block}" in PAGE

    def test_table_has_every_consumer_at_the_version_that_is_installed(self) -> None:
        lines = PAGE.split(MARKERS[0])[1].split(MARKERS[1])[0].splitlines()[2:]
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        assert [(row[0], row[2]) for row in rows] == [(one.name, one.called) for one in CONSUMERS]
        for one, row in zip(CONSUMERS, rows, strict=True):
            assert row[1] == pinned(one)
            assert float(row[3]) <= 1e-6


def pinned(consumer: Consumer) -> str:
    packages = SCRIPTS / f"{consumer.environment}.json"
    if packages.exists():
        version: str = json.loads(packages.read_text())["dependencies"][consumer.package]
        return version
    requirements = (SCRIPTS / f"{consumer.environment}.txt").read_text()
    found = re.search(rf"^{re.escape(consumer.package)}==(\S+)", requirements, flags=re.MULTILINE)
    assert found, consumer.package
    return found[1]
