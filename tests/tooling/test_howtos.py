"""The code of the how-to pages, page by page as a reader would run it, prints what its comments say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from project import ROOT

PAGES = [*sorted(ROOT.glob("docs/howto-*.md")), ROOT / "docs" / "quality.md"]
PRINTED = re.compile(r"^ *print\(.*\)  # (.+)$", flags=re.MULTILINE)


def blocks(page: Path, language: str = "python") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture
def project(bundled: Path, tmp_path: Path) -> Path:
    """A folder that has what the pages name."""
    (tmp_path / "build").mkdir()
    for name in ("a", "minilm-l6-v2-256"):
        (tmp_path / "build" / name).symlink_to(bundled)
    (tmp_path / "models").symlink_to(ROOT / "models")
    (tmp_path / "texts.txt").write_text("one line\nanother line\n\nthe last one\n", encoding="utf-8")
    return tmp_path


def run(*command: str, project: Path) -> list[str]:
    result = subprocess.run(
        [sys.executable, *command], cwd=project, capture_output=True, encoding="utf-8", timeout=300
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
@pytest.mark.slow
def test_code_prints_what_its_comments_say(page: Path, project: Path) -> None:
    # tests/integrations runs the blocks that need mteb.
    code = "\n".join(block for block in blocks(page) if "import mteb" not in block)
    if "howto-pandas" in page.name:
        pytest.importorskip("pyarrow")
    if "howto-asymmetric" in page.name:
        pytest.importorskip("milvus_lite")
    if "howto-large-files" in page.name:  # its first commands are the shell's
        run("-m", "portvec", "embed", "build/a", "-i", "texts.txt", "-o", "vectors.npy", project=project)
    expected = PRINTED.findall(code)
    assert expected
    assert run("-c", code, project=project) == expected


@pytest.mark.slow
def test_readme_classifies_with_the_model_that_the_how_to_makes(project: Path) -> None:
    page = ROOT / "docs" / "howto-classifiers.md"
    (readme,) = blocks(ROOT / "README.md", "py")
    lines = readme.splitlines()
    shown = [line.partition("  # ") for line in lines if "  # " in line]
    program = [line for line in lines if "  # " not in line]
    program += [f"print({code})" for code, _, _ in shown]
    run("-c", "\n".join(blocks(page)), project=project)
    printed = run("-c", "\n".join(program), project=project)
    assert printed[0] == shown[0][2] == "['animals' 'travel']"
    assert shown[1][2] == "float32 (1, 3)"
    assert len(printed[1].split()) == 3
