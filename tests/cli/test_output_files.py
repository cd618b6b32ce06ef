"""What `embed -o` writes to: files that exist, links, pipes, devices, a disk that is full."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from command_line import RunPortvec
from folders import names
from portvec import StaticEmbedder
from portvec._artifact.staging import staged_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes, links and pipes of POSIX")

SUFFIXES = pytest.mark.parametrize("suffix", [".npy", ".jsonl", ".parquet", ".arrow"])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@SUFFIXES
def test_new_file_follows_the_umask(portvec: RunPortvec, tiny: Path, work: Path, suffix: str) -> None:
    path = work / f"out{suffix}"
    before = os.umask(0o027)
    try:
        assert portvec("embed", tiny, "x", "-o", path).returncode == 0
    finally:
        os.umask(before)
    assert mode(path) == 0o640
    assert names(work) == [path.name]


@SUFFIXES
@pytest.mark.parametrize("bits", [0o600, 0o640, 0o444, 0o666])
def test_mode_of_a_file_is_kept(portvec: RunPortvec, tiny: Path, work: Path, suffix: str, bits: int) -> None:
    path = work / f"out{suffix}"
    path.write_text("old")
    path.chmod(bits)
    assert portvec("embed", tiny, "x", "-o", path, "--overwrite").returncode == 0
    assert mode(path) == bits
    assert path.read_bytes() != b"old"


def test_what_replaces_a_private_file_is_private_while_it_is_written(work: Path) -> None:
    (work / "out").write_text("old")
    (work / "out").chmod(0o600)
    with staged_file(work / "out") as staging:
        assert mode(staging) == 0o600
        assert mode(staging.parent) == 0o700


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root may give files away")
def test_owner_of_a_file_is_kept(portvec: RunPortvec, tiny: Path, work: Path) -> None:
    path = work / "out.npy"
    path.write_text("old")
    os.chown(path, 12345, 54321)
    assert portvec("embed", tiny, "x", "-o", path, "--overwrite").returncode == 0
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


def test_group_that_cannot_be_kept_gets_no_permissions(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The group of the new file is another one: nobody has granted it anything."""
    (work / "out").write_text("old")
    (work / "out").chmod(0o664)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "chown", refuse)
    with staged_file(work / "out") as staging:
        staging.write_text("new")
    assert mode(work / "out") == 0o604


@SUFFIXES
def test_link_is_followed(portvec: RunPortvec, tiny: Path, tmp_path: Path, work: Path, suffix: str) -> None:
    real, link = work / f"real{suffix}", tmp_path / f"link{suffix}"
    link.symlink_to(real)
    for _ in range(2):  # the first time, the link leads to nothing
        assert portvec("embed", tiny, "x", "-o", link, "--overwrite").returncode == 0
        assert link.is_symlink()
        assert not real.is_symlink()
        assert names(work) == [real.name]
        real.chmod(0o600)
    assert mode(real) == 0o600


def test_link_to_itself(portvec: RunPortvec, tiny: Path, work: Path) -> None:
    (work / "out.npy").symlink_to("out.npy")
    result = portvec("embed", tiny, "x", "-o", work / "out.npy")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "out.npy: cannot be written (Too many levels of symbolic links)" in result.stderr


@SUFFIXES
def test_device_stays_a_device(portvec: RunPortvec, tiny: Path, work: Path, suffix: str) -> None:
    link = work / f"null{suffix}"
    link.symlink_to("/dev/null")
    before = os.stat("/dev/null")  # noqa: PTH116
    assert portvec("embed", tiny, "x", "-o", link).returncode == 0
    after = os.stat("/dev/null")  # noqa: PTH116
    assert (after.st_ino, after.st_mode, after.st_rdev) == (before.st_ino, before.st_mode, before.st_rdev)
    assert link.is_symlink()
    assert names(work) == [link.name]


def test_pipe(portvec: RunPortvec, tiny: Path, work: Path) -> None:
    path = work / "pipe.jsonl"
    os.mkfifo(path)
    read: list[str] = []
    thread = threading.Thread(target=lambda: read.append(path.read_text(encoding="utf-8")))
    thread.start()
    assert portvec("embed", tiny, "x", "-o", path).returncode == 0
    thread.join(30)
    assert read == [portvec("embed", tiny, "x").stdout]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_npy_into_a_pipe(portvec: RunPortvec, tiny: Path, work: Path) -> None:
    os.mkfifo(work / "pipe.npy")
    result = portvec("embed", tiny, "x", "-o", work / "pipe.npy")
    assert (result.returncode, result.stderr) == (
        1,
        f"portvec: error: {work / 'pipe.npy'}: a pipe or device, which .npy does not suit, because it is not "
        "written from start to end; choose .jsonl\n",
    )
    assert stat.S_ISFIFO((work / "pipe.npy").stat().st_mode)


@SUFFIXES
def test_folder(portvec: RunPortvec, tiny: Path, work: Path, suffix: str) -> None:
    (work / f"out{suffix}").mkdir()
    result = portvec("embed", tiny, "x", "-o", work / f"out{suffix}")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert f"out{suffix}: cannot be written (Is a directory)" in result.stderr
    assert names(work) == [f"out{suffix}"]


@SUFFIXES
@pytest.mark.parametrize("stem", ["x" * 240, "日" * 80])
def test_long_name(portvec: RunPortvec, tiny: Path, work: Path, suffix: str, stem: str) -> None:
    assert portvec("embed", tiny, "x", "-o", work / f"{stem}{suffix}").returncode == 0
    assert names(work) == [f"{stem}{suffix}"]


def test_name_that_is_too_long(portvec: RunPortvec, tiny: Path, work: Path) -> None:
    result = portvec("embed", tiny, "x", "-o", work / f"{'x' * 300}.npy")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "cannot be written (File name too long)" in result.stderr


FULL_DISK = """
import resource, sys
from portvec._cli.main import run
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.exit(run(sys.argv[1:]))
"""


@SUFFIXES
@pytest.mark.parametrize("limit", [0, 100, 5_000, 60_000])
@pytest.mark.parametrize("exists", [False, True])
def test_disk_full(tiny: Path, tmp_path: Path, work: Path, suffix: str, limit: int, exists: bool) -> None:
    """A limit on file size stands for a full disk: the write that reaches it fails."""
    (tmp_path / "many.txt").write_text("some words\n" * 10_000)
    path = work / f"out{suffix}"
    if exists:
        path.write_text("as it was")
    command = [
        sys.executable,
        "-c",
        FULL_DISK,
        str(limit),
        "embed",
        str(tiny),
        "-i",
        str(tmp_path / "many.txt"),
    ]
    command += ["-o", str(path), "--overwrite"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stderr) == (
        1,
        f"portvec: error: {path}: cannot be written (File too large); the same command goes on from here\n",
    )
    assert names(work) == ([path.name] if exists else [])
    assert not exists or path.read_text() == "as it was"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_full_device(portvec: RunPortvec, tiny: Path, work: Path) -> None:
    for suffix in (".jsonl", ".npy"):
        (work / f"full{suffix}").symlink_to("/dev/full")
        result = portvec("embed", tiny, "x", "-o", work / f"full{suffix}")
        assert (result.returncode, result.stderr.count("\n")) == (1, 1)
        assert f"full{suffix}: cannot be written (No space left on device)" in result.stderr
        assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


KILLED = """
import os, signal, sys
from pathlib import Path
from portvec._artifact.staging import staged_file
with staged_file(Path(sys.argv[1])) as staging:
    staging.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_cleared_by_the_next(
    portvec: RunPortvec, tiny: Path, work: Path
) -> None:
    path = work / "out.npy"
    command = [sys.executable, "-c", KILLED, str(path)]
    assert subprocess.run(command, timeout=60).returncode == -signal.SIGKILL
    assert len(names(work)) == 1
    assert portvec("embed", tiny, "x", "-o", path).returncode == 0
    assert names(work) == ["out.npy"]
    np.testing.assert_array_equal(np.load(path)[0], StaticEmbedder.load(tiny).encode("x"))
