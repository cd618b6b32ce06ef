"""A process may die at any moment: a target is absent or complete, and the next run clears up."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from folders import names
from hub_server import LocalHub
from portvec import StaticEmbedder
from portvec._artifact.cache import cache_root
from portvec._artifact.folder import check_hashes, open_artifact
from portvec._artifact.staging import new_folder
from portvec.errors import ArtifactError, ExportError, SourceError
from portvec_export import export_model
from project import BUNDLED, ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and POSIX signals")


@pytest.mark.parametrize("mode", ["export", "overwrite", "contend", "convert", "race", "pull"])
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
    result = subprocess.run(command, check=True, capture_output=True, text=True, timeout=999, env=environment)
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
    assert report["failed"] == 0


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


STOPS = [
    (signal.SIGINT, 130, "interrupted"),
    (signal.SIGTERM, 143, "stopped by SIGTERM"),
    (signal.SIGHUP, 129, "stopped by SIGHUP"),
]


class TestStop:
    """Signals that ask a command to stop: it removes what it began."""

    def stop(
        self, number: signal.Signals, command: list[str], begun: tuple[Path, str], **env: str
    ) -> tuple[int, str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "portvec", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **env},
            # Processes that a shell runs in the background ignore Ctrl-C, and so do their children.
            preexec_fn=partial(signal.signal, number, signal.SIG_DFL),
        )
        folder, pattern = begun
        deadline = time.monotonic() + 60
        while not list(folder.glob(pattern)) and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(number)
        stderr = process.communicate(timeout=60)[1]
        return process.returncode, stderr.strip()

    @pytest.mark.parametrize(("number", "code", "message"), STOPS)
    def test_export(self, number: signal.Signals, code: int, message: str, tmp_path: Path) -> None:
        folder = tmp_path / "work"
        folder.mkdir()
        command = ["export", str(BUNDLED), "-o", str(folder / "artifact")]
        stopped = self.stop(number, command, (folder, ".*.partial/new/onnx"))
        assert stopped == (code, f"portvec: error: {message}")
        assert list(folder.iterdir()) == []

    @pytest.mark.parametrize(("number", "code", "message"), STOPS)
    def test_embed(
        self, number: signal.Signals, code: int, message: str, bundled: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "work"
        folder.mkdir()
        (tmp_path / "many.txt").write_text("some words to embed in a line of text\n" * 1_000_000)
        command = ["embed", str(bundled), "-i", str(tmp_path / "many.txt"), "-o", str(folder / "out.npy")]
        stopped = self.stop(number, command, (folder, "out.npy.partial/data"))
        assert stopped == (code, f"portvec: error: {message}")
        # If a part was written, the same command goes on with it.
        assert {path.name for path in folder.iterdir()} <= {"out.npy.partial"}
        subprocess.run([sys.executable, "-m", "portvec", *command], check=True, capture_output=True)
        assert [path.name for path in folder.iterdir()] == ["out.npy"]

    def test_embed_that_waits_for_standard_input(self, tiny: Path, tmp_path: Path) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "portvec", "embed", str(tiny), "-o", str(tmp_path / "out.npy")],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".*.partial/new")) and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)  # nobody has closed its input
        assert process.returncode == 143
        assert process.communicate()[1] == "portvec: error: stopped by SIGTERM\n"
        assert list(tmp_path.glob("*out.npy*")) == []

    def test_pull(self, tiny: Path, hub: LocalHub, tmp_path: Path) -> None:
        folder = tmp_path / "work"
        folder.mkdir()
        hub.add_folder("owner/artifact", tiny)
        hub.delay = 0.3
        environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
        command = ["pull", "owner/artifact", "-o", str(folder / "copy")]
        stopped = self.stop(signal.SIGTERM, command, (folder, ".*.partial/new/.incoming"), **environment)
        assert stopped == (143, "portvec: error: stopped by SIGTERM")
        assert list(folder.iterdir()) == []

    def test_ignored_signal_stays_ignored(self, tiny: Path, tmp_path: Path) -> None:
        """As under nohup."""
        (tmp_path / "many.txt").write_text("some words to embed in a line of text\n" * 100_000)
        program = (
            "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
            "from portvec._cli.entry import main\n"
            "from portvec._cli import embed\n"
            "embed_file = embed.embed_file\n"
            "def hang_up(*a): signal.raise_signal(signal.SIGHUP); return embed_file(*a)\n"
            "embed.embed_file = hang_up\n"
            "main()\n"
        )
        command = [sys.executable, "-c", program, "embed", str(tiny), "-i", str(tmp_path / "many.txt")]
        result = subprocess.run([*command, "-o", str(tmp_path / "out.npy")], timeout=60, check=True)
        assert result.returncode == 0
        assert (tmp_path / "out.npy").exists()


# Dies at the given rename. A working folder is named after the target, so its own does not count.
KILLED_AT_RENAME = """
import os, signal, sys
from pathlib import Path
from portvec_export import export_model

rename, left = Path.rename, [int(sys.argv[3])]
def dying(self, target):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)
Path.rename = dying
export_model(sys.argv[1], sys.argv[2], overwrite=True, dim=5)
"""


@pytest.mark.parametrize("renames", range(6))
def test_process_that_dies_at_a_rename(renames: int, tiny: Path, tiny_model: Path) -> None:
    """Whichever rename it is, the next process finds the old artifact or the new one, and clears up."""
    before = sorted(tiny.parent.iterdir())
    command = [sys.executable, "-c", KILLED_AT_RENAME, str(tiny_model), str(tiny), str(renames)]
    died = subprocess.run(command, timeout=120).returncode == -signal.SIGKILL
    assert died or renames > 3
    with pytest.raises(ExportError, match="exists and is not empty"):
        export_model(tiny_model, tiny)
    check_hashes(open_artifact(tiny))
    assert sorted(tiny.parent.iterdir()) == before


def test_working_folders_of_other_targets_and_of_living_processes_stay(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a", overwrite=True) as first, new_folder(tmp_path / "ab", overwrite=True):
        (first / "portvec.json").write_text("1")
        with new_folder(tmp_path / "a", overwrite=True) as second:
            (second / "portvec.json").write_text("2")
        assert (tmp_path / "a" / "portvec.json").read_text() == "2"
    assert (tmp_path / "a" / "portvec.json").read_text() == "1"
    assert names(tmp_path) == ["a", "ab"]


def test_first_of_two_that_do_not_overwrite_wins(tmp_path: Path) -> None:
    with (
        pytest.raises(ExportError, match="a: exists and is not empty"),
        new_folder(tmp_path / "a", overwrite=False),
        new_folder(tmp_path / "a", overwrite=False) as faster,
    ):
        (faster / "portvec.json").write_text("faster")
    assert (tmp_path / "a" / "portvec.json").read_text() == "faster"
    assert names(tmp_path) == ["a"]


RACE = """
import sys
from portvec_export import export_model
for _ in range(int(sys.argv[3])):
    export_model(sys.argv[1], sys.argv[2], overwrite=True)
"""


def test_processes_with_caches_of_their_own_overwrite_the_same_output(
    tiny_model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "work" / "artifact"
    command = [sys.executable, "-c", RACE, str(tiny_model), str(output), "3"]
    processes = [
        subprocess.Popen(command, env={**os.environ, "PORTVEC_CACHE": str(tmp_path / f"cache{number}")})
        for number in range(3)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    check_hashes(open_artifact(output))
    assert names(output.parent) == ["artifact"]


REPLACE = """
import shutil, sys
from pathlib import Path
from portvec._artifact.folder import open_artifact
from portvec._artifact.staging import check_target, new_folder
from portvec._loading import load_artifact
from portvec._options import ModelOptions

published, target, times = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
for _ in range(times):
    check_target(target, overwrite=True)
    with new_folder(target, overwrite=True) as staging:
        shutil.copytree(published, staging, dirs_exist_ok=True)
    open_artifact(target)
    load_artifact(target, ModelOptions())
"""


@pytest.mark.parametrize("times", [50, pytest.param(2000, marks=pytest.mark.slow)])
def test_writers_and_readers_of_one_folder_never_fail(times: int, tiny: Path, tmp_path: Path) -> None:
    """The folder is missing for a moment whenever a process replaces it, at whatever step the others are."""
    folder = tmp_path / "work"
    target = Path(shutil.copytree(tiny, folder / "artifact"))
    command = [sys.executable, "-c", REPLACE, str(tiny), str(target), str(times)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate(timeout=300)[1] for process in processes] == [""] * 4
    check_hashes(open_artifact(target))
    assert names(folder) == ["artifact"]


STOP = """
import sys, time
from pathlib import Path
from portvec._artifact.working_folder import REPLACED, working_folder

target = Path(sys.argv[1])
with working_folder(target) as work:
    target.rename(work / REPLACED)
    print(flush=True)
    time.sleep(1)
"""


def test_a_writer_that_stops_while_it_replaces_a_folder_is_waited_for(tiny: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STOP, str(tiny)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert not tiny.exists()
        check_hashes(open_artifact(tiny))
    assert process.returncode == 0


@pytest.mark.parametrize("exists", [False, True])
def test_what_a_killed_first_export_left_does_not_change_the_error(exists: bool, tmp_path: Path) -> None:
    target = tmp_path / "artifact"
    killed = "import os, sys; from pathlib import Path; from portvec._artifact.staging import new_folder\n"
    killed += "with new_folder(Path(sys.argv[1]), overwrite=False): os._exit(1)"
    subprocess.run([sys.executable, "-c", killed, str(target)], check=False)
    assert len(names(tmp_path)) >= 1
    if exists:
        target.mkdir()
    message = "neither a Model2Vec model" if exists else "no such"
    with pytest.raises(SourceError, match=f"artifact: {message}"):
        StaticEmbedder.load(target)
    with pytest.raises(ArtifactError, match="no portvec.json" if exists else "no such"):
        open_artifact(target)
