"""Hidden folders beside a target, in which a process prepares what will replace it.

Each holds a file that is locked as long as its process lives. By it, whoever writes to the same target later
knows the folders that killed processes left, and removes those only. Only the process that makes a folder
creates its lock file, and only who has locked that file deletes it. filelock, which creates what it does not
find, folders included, cannot promise that.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Names in a working folder: what will be the target, and what the target was.
NEW = "new"
REPLACED = "replaced"
_LOCK = "lock"

_LOCKED = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)  # by another process


@contextmanager
def working_folder(target: Path, *, parents: bool = False) -> Iterator[Path]:
    """Yield an empty folder beside `target`, which is removed in the end.

    Those that killed processes left for the same target are removed first. With `parents`, the folders above
    `target` are created.

    Raises:
        OSError: the folder above `target` is missing or cannot be written.
    """
    if parents:
        target.parent.mkdir(parents=True, exist_ok=True)
    for leftover in _find(target):
        with suppress(OSError):  # its process lives, or it belongs to another user
            _remove_leftover(leftover, target)
    work, lock = _make(target)
    try:
        yield work
    finally:
        _remove(work, lock, target)


def is_being_written(folder: Path) -> bool:
    """Return whether a process is writing `folder`, or died while it did. It may be missing for a moment."""
    try:
        return bool(_find(folder.resolve()))
    except OSError:
        return False


def is_being_replaced(folder: Path) -> bool:
    """Return whether a process that lives has moved `folder` away, and not yet put another in its place."""
    try:
        return any(_is_locked(work) for work in _find(folder.resolve()) if (work / REPLACED).exists())
    except OSError:
        return False


def _is_locked(work: Path) -> bool:
    """Return whether the process that made a working folder lives."""
    try:
        lock = os.open(work / _LOCK, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return _try_lock(lock, work) is False
    finally:
        os.close(lock)


def _find(target: Path) -> list[Path]:
    return list(target.parent.glob(f"{_prefix_of(target)}*"))


def _prefix_of(target: Path) -> str:
    # The name is short whatever the target's is, and the same by whatever path the target is reached.
    return f".portvec-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]}-"


def _make(target: Path) -> tuple[Path, int]:
    """Return a new folder and the open file that locks it."""
    while True:
        work = Path(tempfile.mkdtemp(prefix=_prefix_of(target), suffix=".partial", dir=target.parent))
        with suppress(FileNotFoundError):
            lock = os.open(work / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            # Where no file can be locked, as on some network file systems, nobody removes what others left.
            if _try_lock(lock, work) is not False:
                return work, lock
            os.close(lock)
        # Another process took it for a leftover, because it was not locked yet.


def _remove_leftover(work: Path, target: Path) -> None:
    """Remove a working folder if its process died.

    Raises:
        OSError: it lives, or the folder cannot be removed.
    """
    try:
        lock = os.open(work / _LOCK, os.O_RDWR)
    except FileNotFoundError:
        # Its process died before it locked the folder, or has just made it, and will make another one.
        work.rmdir()
        return
    if _try_lock(lock, work):
        _remove(work, lock, target)
    else:
        os.close(lock)


def _remove(work: Path, lock: int, target: Path) -> None:
    """Remove a working folder. If its process stopped between two renames, put back what it was replacing."""
    replaced = work / REPLACED
    if replaced.exists():
        with suppress(OSError):  # somebody else has written the target meanwhile
            replaced.rename(target)
    # The lock goes last: as long as there is anything else, it tells whether somebody is at work.
    for path in work.glob("*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != _LOCK:
            with suppress(OSError):
                path.unlink()
    if os.name == "nt":  # where a file that is open cannot be deleted
        os.close(lock)
        shutil.rmtree(work, ignore_errors=True)
    else:
        shutil.rmtree(work, ignore_errors=True)
        os.close(lock)


def _try_lock(lock: int, work: Path) -> bool | None:
    """Lock an open lock file until it is closed. Return whether that worked; None: no file can be locked."""
    try:
        _lock(lock)
    except OSError as error:
        return False if error.errno in _LOCKED else None
    try:
        return os.path.samestat(os.fstat(lock), (work / _LOCK).stat())
    except FileNotFoundError:  # who had it locked has removed the folder
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
