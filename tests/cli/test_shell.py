"""The command line from a shell: a session, help, a terminal, a closed pipe, the home folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from command_line import RunPortvec
from portvec import StaticEmbedder
from project import BUNDLED


def test_export_verify_info_embed_search(portvec_process: RunPortvec, tmp_path: Path) -> None:
    artifact = tmp_path / "a"
    exported = portvec_process("export", BUNDLED, "-o", artifact, "--dtype", "float32")
    assert (exported.returncode, exported.stdout) == (0, "")
    assert exported.stderr.endswith("a: 29,525 x 256 float32, 32.2 MB, verified against model2vec 0.10.0\n")

    verified = portvec_process("verify", artifact)
    assert verified.returncode == 0
    assert "a: ok, 64 recorded texts: token ids identical, vectors within " in verified.stdout
    assert json.loads(portvec_process("verify", artifact, "--json").stdout)["texts"] == 64

    info = portvec_process("info", artifact)
    assert info.returncode == 0
    assert "embedding      256 x float32, unit length" in info.stdout
    assert "truncation     first 512 tokens of the first 3,072 characters" in info.stdout
    assert json.loads(portvec_process("info", artifact, "--json").stdout)["dim"] == 256

    embedded = portvec_process("embed", artifact, "hello world")
    assert embedded.returncode == 0
    line = json.loads(embedded.stdout)
    assert line["text"] == "hello world"
    expected = StaticEmbedder.load(artifact).encode("hello world")
    np.testing.assert_array_equal(np.array(line["embedding"], dtype=np.float32), expected)

    (tmp_path / "texts.md").write_text("# Export\n\nHow to export a model.\nNothing here.\n")
    found = portvec_process(
        "search", artifact, "-i", "texts.md", "--format", "txt", "how do I export a model", "-k", "2"
    )
    assert found.returncode == 0
    lines = found.stdout.splitlines()
    assert lines[0] == " score  text"
    assert lines[1].endswith("  How to export a model.")
    assert len(lines) == 3


def test_no_arguments_prints_help(portvec: RunPortvec) -> None:
    result = portvec()
    assert result.returncode == 2
    assert "Usage: portvec" in result.stdout + result.stderr
    assert portvec("--help").returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
def test_waiting_terminal_is_told_what_to_give(tiny: Path) -> None:
    master, terminal = os.openpty()
    result = subprocess.run(
        [sys.executable, "-m", "portvec", "embed", str(tiny)],
        stdin=terminal,
        capture_output=True,
        encoding="utf-8",
    )
    os.close(master)
    os.close(terminal)
    assert result.returncode == 2
    assert "no text given; pass a file with -i, or pipe lines into standard input" in result.stderr


def test_closed_pipe_ends_without_a_message(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "many.txt").write_text("text\n" * 20_000)
    command = f"{sys.executable} -m portvec embed {tiny} -i {tmp_path / 'many.txt'}"
    result = subprocess.run(
        f"({command}; echo code $? >&2) | head -n 1", shell=True, capture_output=True, text=True
    )
    assert result.stderr == "code 1\n"


def test_version(portvec: RunPortvec) -> None:
    import portvec as package

    assert portvec("--version").stdout == f"portvec {package.__version__}\n"


def test_leaves_nothing_in_the_home_folder(portvec_process: RunPortvec, tiny: Path, tmp_path: Path) -> None:
    # onnxruntime's wheels would leave a device id and a database of events.
    assert portvec_process("embed", tiny, "x").returncode == 0
    assert list((tmp_path / "home").iterdir()) == []
