"""The cache of conversions: where it is, and its locks."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portvec._artifact import format as fmt
from portvec._artifact.paths import expand_home
from portvec.errors import ExportError

_REMEDY = "set PORTVEC_CACHE to a folder that can be written"


def cache_root() -> Path:
    """Return the folder for conversions and locks.

    The environment variable PORTVEC_CACHE sets it. The default is `portvec` in the folder for caches:
    $XDG_CACHE_HOME or ~/.cache on Linux, ~/Library/Caches on macOS, %LOCALAPPDATA% on Windows.

    Raises:
        ExportError: no variable is set, and the home folder is not known.
    """
    if override := os.environ.get("PORTVEC_CACHE"):
        return expand_home(override, ExportError)
    return _user_caches() / "portvec"


def _user_caches() -> Path:
    variable = {"win32": "LOCALAPPDATA", "darwin": ""}.get(sys.platform, "XDG_CACHE_HOME")
    if folder := os.environ.get(variable):
        return Path(folder)
    try:
        home = Path.home()
    except RuntimeError as error:
        raise ExportError(
            f"the cache has no place, because the home folder is not known; {_REMEDY}"
        ) from error
    if sys.platform == "win32":
        return home / "AppData" / "Local"
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def conversions() -> Path:
    """Return the folder with a folder for each conversion."""
    return cache_root() / "models"


@contextmanager
def locked(key: str) -> Iterator[None]:
    """Hold the lock of a conversion. Processes that need the same one wait here, and the first one makes it.

    The operating system frees the lock when its process dies.

    Raises:
        ExportError: the cache cannot be written.
    """
    from filelock import FileLock  # imports asyncio, which embedding does not need

    root = cache_root()
    try:
        for folder in (conversions(), root / "locks"):
            folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / "locks" / f"{key}.lock")
        lock.acquire()
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ExportError(f"{root}: the cache cannot be written ({reason}); {_REMEDY}") from error
    try:
        yield
    finally:
        lock.release()


def remove_half_deleted(conversion: Path) -> None:
    """Remove a conversion that has lost its manifest, which a new one would not replace."""
    if conversion.is_dir() and not (conversion / fmt.MANIFEST).is_file():
        shutil.rmtree(conversion, ignore_errors=True)
