"""The code of docs/frameworks.md, block by block as a reader would run it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from frameworks import FRAMEWORKS, Framework, need
from project import ROOT

TEXT = (ROOT / "docs" / "frameworks.md").read_text(encoding="utf-8")
SECTIONS = {
    title: re.findall(r"```python\n(.*?)```", body, flags=re.DOTALL)
    for title, body in re.findall(r"^## (.+?)$(.*?)(?=^## |\Z)", TEXT, flags=re.DOTALL | re.MULTILINE)
}


def test_every_framework_has_a_section_that_makes_and_one_that_reopens() -> None:
    assert {title: len(blocks) for title, blocks in SECTIONS.items()} == {
        framework.title: 2 for framework in FRAMEWORKS
    }
    for framework in FRAMEWORKS:
        assert f"(#{framework.title.lower()})" in TEXT


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.title)
def test_code_prints_what_its_comments_say(framework: Framework, bundled: Path, tmp_path: Path) -> None:
    need(framework.imported)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "a").symlink_to(bundled)
    for block in SECTIONS[framework.title]:
        expected = re.findall(r"^ *print\(.*\)  # (.+)$", block, flags=re.MULTILINE)
        assert expected
        result = subprocess.run(
            [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=300
        )
        assert result.returncode == 0, result.stderr
        printed = result.stdout.splitlines()
        assert printed[-len(expected) :] == expected  # LlamaIndex 0.14.0 prints what it reads first
