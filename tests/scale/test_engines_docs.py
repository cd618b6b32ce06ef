"""The code of docs/engines.md, section by section as a reader would run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from engines import ENGINES, need_engine
from project import ROOT

TEXT = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
PREPARATION, *_ = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
SECTIONS = {
    title: re.findall(r"```python\n(.*?)```", body, flags=re.DOTALL)
    for title, body in re.findall(r"^## (.+?)$(.*?)(?=^## |\Z)", TEXT, flags=re.DOTALL | re.MULTILINE)
}


def test_every_engine_has_a_section() -> None:
    assert {title for title, blocks in SECTIONS.items() if blocks} >= {engine.title for engine in ENGINES}
    for engine in ENGINES:
        assert f"(#{engine.title.lower().replace(' ', '-')})" in TEXT


def run(code: str, folder: Path) -> list[str]:
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.mark.parametrize("title", [title for title, blocks in SECTIONS.items() if blocks])
def test_code_prints_what_its_comments_say(title: str, bundled: Path, tmp_path: Path) -> None:
    for engine in ENGINES:
        if engine.title == title:
            need_engine(engine.imported)
    pytest.importorskip("pyarrow")
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "a").symlink_to(bundled)
    run(PREPARATION, tmp_path)
    for block in SECTIONS[title]:
        expected = re.findall(r"^ *print\(.*\)  # (.+)$", block, flags=re.MULTILINE)
        assert expected
        assert run(block, tmp_path)[-len(expected) :] == expected
