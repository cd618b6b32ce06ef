"""The programs of docs/text-in.md that are marked "run" print what portvec gives, in their own environments.

`make test-text-in` makes these, and the file that the programs open.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from portvec import StaticEmbedder
from project import BUNDLED, ROOT
from text_input.hosts import HERE
from text_input.job import read_result, write_job
from web_site import Site

PAGE = (ROOT / "docs" / "text-in.md").read_text(encoding="utf-8")
LANGUAGES = {
    **{"python": "run", "js": "run", "html": "run", "c": "run", "cpp": "run"},
    **{"csharp": "read", "java": "read", "go": "read", "rust": "read", "swift": "read"},
}
TEXTS = ["How do I reset my password?", "Forgot your login? Recover it here.", "We are closed on Sundays."]

BUILD = Path(os.environ.get("PORTVEC_TEXT_IN", ROOT / "build" / "text-in"))
needs_hosts = pytest.mark.skipif(
    "PORTVEC_TEXT_IN" not in os.environ, reason="needs environments: make test-text-in"
)


def program(language: str) -> str:
    """Return the one program in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_a_program_with_the_same_texts_under_its_mark(language: str) -> None:
    before = PAGE[: PAGE.index(f"```{language}\n")]
    heading = re.findall(r"^### (.*)$", before, flags=re.MULTILINE)[-1]
    assert heading.endswith(f": {LANGUAGES[language]}")
    assert [text for text in TEXTS if text not in program(language)] == []


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from portvec_export import export_model

    folder = tmp_path_factory.mktemp("text-in") / "artifact"
    return export_model(BUNDLED, folder, dtype="int8", text_input=["strings"])


@pytest.fixture
def folder(artifact: Path, tmp_path: Path) -> Path:
    """A folder with the graph and nothing else."""
    shutil.copy(artifact / "onnx" / "model_text.onnx", tmp_path)
    return tmp_path


def run(*command: str | Path, cwd: Path) -> str:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={"PATH": os.environ["PATH"]},
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ).stdout


def check_scores(printed: str, artifact: Path) -> None:
    first, *others = StaticEmbedder.load(artifact, tokenizer="tokenizers").encode(TEXTS)
    scores = [float(line) for line in printed.split()]
    np.testing.assert_allclose(scores, [first @ other for other in others], rtol=0, atol=1e-4)


@needs_hosts
class TestPrograms:
    def check(self, artifact: Path, folder: Path, *command: str | Path) -> None:
        check_scores(run(*command, cwd=folder), artifact)

    def test_python(self, artifact: Path, folder: Path) -> None:
        (folder / "embed.py").write_text(program("python"), encoding="utf-8")
        self.check(artifact, folder, BUILD / "python-newest" / "bin" / "python", "embed.py")

    def test_node(self, artifact: Path, folder: Path) -> None:
        (folder / "embed.mjs").write_text(program("js"), encoding="utf-8")
        (folder / "node_modules").symlink_to(BUILD / "node" / "node_modules")
        self.check(artifact, folder, "node", "embed.mjs")

    @pytest.mark.parametrize(
        ("language", "command"), [("c", ("gcc", "-std=c11")), ("cpp", ("g++", "-std=c++17"))]
    )
    def test_compiled(self, language: str, command: tuple[str, ...], artifact: Path, folder: Path) -> None:
        (folder / f"embed.{language}").write_text(program(language), encoding="utf-8")
        options = ["-Wall", "-Wextra", "-Werror", f"embed.{language}", "-o", "embed"]
        options += ["-I", f"{BUILD}/c/include", "-L", f"{BUILD}/c/lib", "-lonnxruntime", "-lm"]
        subprocess.run([*command, *options, f"-Wl,-rpath,{BUILD}/c/lib"], cwd=folder, check=True)
        self.check(artifact, folder, folder / "embed")


@pytest.mark.skipif("PORTVEC_BROWSER" not in os.environ, reason="needs Chromium: make test-text-in")
def test_page(artifact: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (folder / "index.html").write_text(program("html"), encoding="utf-8")
    packages = BUILD / "node" / "node_modules" / "onnxruntime-web" / "dist"
    for name in ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"):
        assert name in PAGE
        shutil.copy(packages / name, folder)
    site = Site(folder)
    # The budget is of the page's own clock, which stands still while it waits for files.
    options = ["--headless", "--no-sandbox", "--virtual-time-budget=60000", "--dump-dom"]
    options += [f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]
    try:
        page = run(os.environ["PORTVEC_BROWSER"], *options, site.url, cwd=folder)
    finally:
        site.stop()
    (printed,) = re.findall(r"<pre>(.*?)</pre>", page, flags=re.DOTALL)
    check_scores(printed, artifact)


@needs_hosts
def test_onnxruntime_alone_gives_the_recorded_ids_and_vectors(artifact: Path, folder: Path) -> None:
    recorded = json.loads((artifact / "conformance.json").read_text(encoding="utf-8"))["texts"]
    write_job(folder / "job", [[case["text"] for case in recorded]])
    python = BUILD / "python-newest" / "bin" / "python"
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=json"], check=True, stdout=subprocess.PIPE
    ).stdout
    names = {package["name"] for package in json.loads(listed)}
    assert "onnxruntime" in names
    assert names.isdisjoint({"portvec", "tokenizers", "onnx"})
    arguments = [HERE / "host.py", folder / "model_text.onnx", folder / "job", folder / "result"]
    subprocess.run([str(part) for part in (python, *arguments)], env={}, check=True)
    found = read_result(folder / "result")
    assert found.ids == [case["token_ids"] for case in recorded]
    expected = np.array([case["embedding"] for case in recorded], np.float32)
    np.testing.assert_allclose(found.vectors, expected, rtol=0, atol=1e-6)
