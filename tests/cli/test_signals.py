"""A signal may come at any moment: the command ends with one line, and does not go on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hub_server import LocalHub
from project import BUNDLED

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

SIGNALS = [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "stopped by SIGTERM")]

WHILE_IMPORTING = """
import signal, sys

module = sys.argv.pop(1)

class Finder:
    def find_spec(self, name, path, target=None):
        if name == module:
            signal.raise_signal(signal.{name})

sys.meta_path.insert(0, Finder())
from portvec._cli.entry import main
main()
"""

IN_A_DESTRUCTOR = """
import signal, time
from portvec._cli import info
from portvec._cli.entry import main

class Interrupted:
    def __del__(self):
        signal.raise_signal(signal.{name})

def go_on(*args, **options):
    Interrupted()
    time.sleep(60)

info.load_artifact = go_on
main()
"""


IN_A_CALL_FROM_RUST = """
import signal, time
from numpy.lib import NumpyVersion
from portvec._cli.entry import main
from portvec._tokenization import trial

def interrupted(*args, init=NumpyVersion.__init__):
    exec("import signal; signal.raise_signal(signal.{name})", init.__globals__)
    init(*args)

def go_on(*args, find=trial.find_accelerator, **options):
    find(*args, **options)
    time.sleep(60)

NumpyVersion.__init__ = interrupted
trial.find_accelerator = go_on
main()
"""


def obey() -> None:
    """Undo that processes which a shell runs in the background ignore Ctrl-C, and so do their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def stop(program: str, *arguments: object) -> tuple[int, str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, preexec_fn=obey)
    return result.returncode, result.stderr.strip()


@pytest.mark.parametrize(("name", "code", "message"), SIGNALS)
@pytest.mark.parametrize("module", ["numpy", "numpy.linalg", "onnxruntime", "click", "tqdm"])
def test_while_importing(name: str, code: int, message: str, module: str, tiny: Path, tmp_path: Path) -> None:
    texts, folder = tmp_path / "texts.txt", tmp_path / "outputs"
    texts.write_text("a text that takes a moment, as do its many copies\n" * 500_000)
    folder.mkdir()
    command = ["embed", tiny, "-i", texts, "-o", folder / "x.npy"]
    stopped = stop(WHILE_IMPORTING.format(name=name), module, *command)
    assert stopped == (code, f"portvec: error: {message}")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("name", "code", "message"), SIGNALS)
def test_in_a_destructor(name: str, code: int, message: str, tiny: Path) -> None:
    """Python drops what a destructor raises."""
    assert stop(IN_A_DESTRUCTOR.format(name=name), "info", tiny) == (code, f"portvec: error: {message}")


@pytest.mark.parametrize(("name", "code", "message"), SIGNALS)
def test_in_a_call_from_rust(name: str, code: int, message: str, tiny: Path) -> None:
    """nanotoken panics if its first call of numpy fails, and would count as a tokenizer that fails."""
    pytest.importorskip("nanotoken")
    assert stop(IN_A_CALL_FROM_RUST.format(name=name), "verify", tiny) == (code, f"portvec: error: {message}")


WHEN_READY = """
from portvec._cli import entry, signals
signals.stop_on_signals()
print(flush=True)
entry.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code", "message"), SIGNALS)
@pytest.mark.parametrize("command", ["export", "pull"])
def test_at_random_moments(
    command: str, name: str, code: int, message: str, tiny: Path, hub: LocalHub, tmp_path: Path
) -> None:
    """The command is stopped, or it has ended already. It leaves nothing but what it was asked for."""
    number = getattr(signal, name)
    folder = tmp_path / "outputs"
    folder.mkdir()
    arguments = [command, BUNDLED if command == "export" else "owner/artifact", "-o", folder / "artifact"]
    hub.add_folder("owner/artifact", tiny)
    hub.delay = 0.1
    environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}

    def outcome(seconds: float) -> tuple[int, str]:
        process = subprocess.Popen(
            [sys.executable, "-c", WHEN_READY, *arguments, "--overwrite"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=obey,
            env={**os.environ, **environment},
        )
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        return process.wait(timeout=60), process.communicate()[1].strip()

    start = time.monotonic()
    done, summary = outcome(60.0)
    duration = time.monotonic() - start
    assert done == 0
    stopped = (code, f"portvec: error: {message}")
    outcomes = {outcome(random.uniform(0, duration)) for _ in range(40)}
    assert stopped in outcomes
    assert outcomes <= {stopped, (0, summary), (-number, summary)}
    assert [path.name for path in folder.iterdir()] == ["artifact"]
