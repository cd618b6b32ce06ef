"""Making files and folders that are either absent or complete, also after a crash."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portvec._artifact import format as fmt
from portvec.errors import ExportError

_PARTIAL = ".partial"
_REPLACED = ".replaced"


def cache_root() -> Path:
    """Return the folder for conversions and locks; the environment variable PORTVEC_CACHE sets it.

    By default the platform's convention: $XDG_CACHE_HOME or ~/.cache on Linux, ~/Library/Caches on
    macOS, %LOCALAPPDATA% on Windows, each with `portvec` appended.
    """
    if override := os.environ.get("PORTVEC_CACHE"):
        return Path(override).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "portvec"


def check_target(target: Path, overwrite: bool) -> None:
    """Refuse to make an artifact at `target` unless it is free, or an artifact and `overwrite` is given.

    Raises:
        ExportError: says which rule `target` breaks.
    """
    if not target.exists():
        return
    if not target.is_dir():
        raise ExportError(f"{target}: is a file, expected a folder to make; choose another output")
    if not any(target.iterdir()):
        return
    if not overwrite:
        raise ExportError(f"{target}: exists and is not empty; choose another output, or pass --overwrite")
    if not (target / fmt.MANIFEST).is_file():
        raise ExportError(
            f"{target}: holds files but no {fmt.MANIFEST}, so it is no artifact and --overwrite will not "
            "delete it; choose another output"
        )


@contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """Hold the lock on `target` that every process on this machine asks for before making it.

    The operating system frees it when a process dies. What that process left is cleared on entry.
    Lock files lie in the cache folder, so that none is left beside the target.
    """
    from filelock import FileLock  # brings asyncio, which embedding does without

    name = hashlib.sha256(os.fsencode(target)).hexdigest()[:32]
    try:
        locks = cache_root() / "locks"
        locks.mkdir(parents=True, exist_ok=True)
    except OSError:  # an unwritable home, as in many containers
        user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
        locks = Path(tempfile.gettempdir()) / f"portvec-locks-{user}"
        locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / f"{name}.lock"):
        _recover(target)
        yield


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target` that takes its place when the block ends well.

    If the block raises, the folder is removed and `target` stays as it was. An existing `target` is
    replaced: between two renames it is missing for a moment, and if the process dies just then, the
    next one that enters `exclusive(target)` puts it back.

    Callers hold `exclusive(target)`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=_PARTIAL, dir=target.parent))
    try:
        yield staging
        staging.chmod(0o777 & ~_umask())  # mkdtemp's 0700 would lock other users out
        if target.exists():
            replaced = staging.with_suffix(_REPLACED)
            target.rename(replaced)
            staging.rename(target)
            shutil.rmtree(replaced)
        else:
            staging.rename(target)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


@contextmanager
def staged_file(target: Path) -> Iterator[Path]:
    """Yield a path beside `target` that takes its place when the block ends well."""
    staging = target.with_name(f".{target.name}.{os.getpid()}{_PARTIAL}")
    try:
        yield staging
        staging.replace(target)
    finally:
        staging.unlink(missing_ok=True)


def _recover(target: Path) -> None:
    """Undo or finish what a killed process was doing at `target`."""
    prefix = f".{target.name}."
    for entry in target.parent.iterdir() if target.parent.is_dir() else ():
        if not entry.name.startswith(prefix) or not entry.is_dir():
            continue
        # mkdtemp puts eight characters between; a longer middle is another target's (name.other).
        if len(entry.stem) != len(prefix) + 8:
            continue
        if entry.suffix == _REPLACED and not target.exists():
            entry.rename(target)
        elif entry.suffix in (_PARTIAL, _REPLACED):
            shutil.rmtree(entry)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
