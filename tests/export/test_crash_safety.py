"""A process may die at any moment: a target is absent or complete, and the next run clears up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from hub_server import LocalHub
from portvec import verify
from portvec._artifact.staging import cache_root
from portvec.errors import ExportError
from portvec_export import export_model
from project import BUNDLED, ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and POSIX signals")


@pytest.mark.parametrize("mode", ["export", "overwrite", "convert", "race", "pull"])
@pytest.mark.slow
def test_kill_at_a_hundred_random_moments(mode: str, tiny_model: Path, hub: LocalHub, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    killer = ROOT / "tests" / "tools" / "killer.py"
    source = str(tiny_model)
    if mode == "pull":
        hub.add_folder("owner/artifact", export_model(tiny_model, tmp_path / "published"))
        source = "owner/artifact"
    command = [sys.executable, str(killer), mode, source, str(folder), "100"]
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
    result = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300, env=environment)
    report = json.loads(result.stdout)
    outcomes = report["outcomes"]
    assert outcomes.pop("last complete, exit 0") == 1
    assert sum(outcomes.values()) == 100
    assert set(outcomes) <= {"absent", "complete"}
    assert outcomes["complete"] >= 1  # the moments reach from the start to after the end
    if mode in ("export", "convert", "pull"):
        assert outcomes["absent"] >= 20
    assert report["litter"] == []
    assert report["targets"] == 1


FULL_DISK = """
import json, os, resource, sys
from pathlib import Path
from portvec import StaticEmbedder
from portvec.errors import PortvecError
from portvec_export import export_model

model, folder, limit = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for action in (lambda: export_model(model, folder / "artifact"), lambda: StaticEmbedder.load(model)):
    try:
        action()
    except PortvecError as error:
        print(str(error))
"""


@pytest.mark.parametrize("limit", [0, 100, 5_000, 30_000, 70_000])
def test_write_that_fails_half_way(limit: int, tiny_model: Path, tmp_path: Path) -> None:
    """A limit on file size stands for a full disk: the write that reaches it fails."""
    folder = tmp_path / "work"
    folder.mkdir()
    command = [sys.executable, "-c", FULL_DISK, str(tiny_model), str(folder), str(limit)]
    result = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    errors = result.stdout.splitlines()
    assert len(errors) == 2
    assert all("cannot be written (File too large)" in error for error in errors)
    assert list(folder.iterdir()) == []
    assert list((cache_root() / "models").iterdir()) == []


class TestInterrupt:
    def interrupt(self, command: list[str], until: Path | None, delay: float) -> tuple[int, str, float]:
        process = subprocess.Popen(
            [sys.executable, "-m", "portvec", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            # Processes that a shell runs in the background ignore Ctrl-C, and so do their children.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL) if os.name == "posix" else None,
        )
        deadline = time.monotonic() + 30
        while until is not None and not list(until.parent.glob(until.name)) and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(delay)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        stderr = process.communicate(timeout=60)[1]
        return process.returncode, stderr, time.monotonic() - sent

    def test_export(self, tmp_path: Path) -> None:
        folder = tmp_path / "work"
        folder.mkdir()
        command = ["export", str(BUNDLED), "-o", str(folder / "artifact")]
        code, stderr, _ = self.interrupt(command, folder / ".artifact.*.partial", 0.1)
        assert (code, stderr.lstrip()) == (130, "portvec: error: interrupted\n")
        assert list(folder.iterdir()) == []

    def test_embed(self, bundled: Path, tmp_path: Path) -> None:
        (tmp_path / "many.txt").write_text("some words to embed in a line of text\n" * 1_000_000)
        output = tmp_path / "out.npy"
        command = ["embed", str(bundled), "-i", str(tmp_path / "many.txt"), "-o", str(output)]
        code, stderr, seconds = self.interrupt(command, tmp_path / ".out.npy.*.partial", 0.5)
        assert (code, stderr.lstrip()) == (130, "portvec: error: interrupted\n")
        assert seconds < 20
        assert not output.exists()
        assert list(tmp_path.glob(".out.npy*")) == []


def test_replaced_folder_is_put_back_if_the_process_died_between_the_renames(
    tiny: Path, tiny_model: Path
) -> None:
    aside = tiny.parent / f".{tiny.name}.abcd1234.replaced"
    os.rename(tiny, aside)  # noqa: PTH104
    other = tiny.parent / f".{tiny.name}.other.abcd1234.partial"  # belongs to a target named tiny….other
    other.mkdir()
    with pytest.raises(ExportError, match="exists and is not empty"):
        export_model(tiny_model, tiny)
    assert verify(tiny).texts == 64
    assert other.exists()
