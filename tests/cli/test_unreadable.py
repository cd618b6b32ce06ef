"""A file or folder that may not be read is named, with the reason, in one line."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import clean_environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes root's rights away as Linux does")

_PR_CAPBSET_DROP, _DAC_OVERRIDE, _DAC_READ_SEARCH = 24, 1, 2


def obey_permissions() -> None:
    """Let the program that starts next obey the permissions of files even if root runs it."""
    if os.geteuid() == 0:
        for capability in (_DAC_OVERRIDE, _DAC_READ_SEARCH):
            ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def run(folder: Path, *args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "portvec", *map(str, args)],
        cwd=folder,
        env=clean_environment(folder / "home", {}),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        preexec_fn=obey_permissions,
    )


def check(result: subprocess.CompletedProcess[str], path: Path) -> None:
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("portvec: error: ")
    assert result.stderr.count("\n") == 1
    assert str(path) in result.stderr
    assert "ermission denied" in result.stderr


@pytest.fixture
def locked() -> Iterator[list[Path]]:
    """Paths that are unlocked when the test ends, so that pytest can remove them."""
    paths: list[Path] = []
    yield paths
    for path in paths:
        path.chmod(0o700)


@pytest.mark.parametrize(
    "name",
    ["portvec.json", "conformance.json", "tokenizer.json", "portvec.graph", "onnx/model.onnx_data", "."],
)
def test_artifact(tiny: Path, tmp_path: Path, locked: list[Path], name: str) -> None:
    path = tiny / name
    path.chmod(0)
    locked.append(path)
    check(run(tmp_path, "verify", tiny), path)
    if name in ("portvec.json", "portvec.graph", "."):
        check(run(tmp_path, "info", tiny), path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "."])
def test_model(tiny_model: Path, tmp_path: Path, locked: list[Path], name: str) -> None:
    path = tiny_model / name
    path.chmod(0)
    locked.append(path)
    check(run(tmp_path, "export", tiny_model, "-o", "out"), path)


def test_folder_on_the_way(tiny: Path, tmp_path: Path, locked: list[Path]) -> None:
    inner = tmp_path / "outer" / "inner"
    inner.parent.mkdir()
    tiny.rename(inner)
    inner.parent.chmod(0)
    locked.append(inner.parent)
    for command in (["info", inner], ["embed", inner, "x"], ["push", inner, "owner/name"]):
        check(run(tmp_path, *command), inner)


@pytest.mark.parametrize("name", ["texts.txt", "texts.jsonl", "texts.csv"])
def test_texts(tiny: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("text\n", encoding="utf-8")
    (tmp_path / name).chmod(0)
    check(run(tmp_path, "embed", tiny, "-i", tmp_path / name), tmp_path / name)


def test_output(tiny: Path, tmp_path: Path, locked: list[Path]) -> None:
    (tmp_path / "home").mkdir()
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o500)
    locked.append(folder)
    check(run(tmp_path, "embed", tiny, "x", "-o", folder / "out.npy"), folder / "out.npy")
