"""Files and folders that appear only when they are complete, even if the process is killed."""

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
from portvec.errors import ArtifactError, ExportError

_PARTIAL = ".partial"
_REPLACED = ".replaced"


def cache_root() -> Path:
    """Return the folder for conversions and locks.

    The environment variable PORTVEC_CACHE sets it. The default is `portvec` in the folder for caches:
    $XDG_CACHE_HOME or ~/.cache on Linux, ~/Library/Caches on macOS, %LOCALAPPDATA% on Windows.
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
    """Check that an artifact may be written to `target`.

    Raises:
        ExportError: `target` exists, and it is not an empty folder. With `overwrite`, an artifact is allowed.
    """
    if not target.exists():
        return
    if not target.is_dir():
        raise ExportError(f"{target}: is a file, expected a folder to create; choose another output")
    if not any(target.iterdir()):
        return
    if not overwrite:
        raise ExportError(f"{target}: exists and is not empty; choose another output, or pass overwrite=True")
    if not (target / fmt.MANIFEST).is_file():
        raise ExportError(
            f"{target}: holds files but no {fmt.MANIFEST}, so it is not an artifact, and overwrite=True does "
            "not delete it; choose another output"
        )


@contextmanager
def new_folder(output: str | os.PathLike[str], *, overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder that becomes `output` when the block ends; `overwrite` replaces an artifact.

    If the block raises, `output` stays as it was. Errors about the artifact name `output`.

    Raises:
        ExportError: `output` is taken, or cannot be written.
    """
    target = Path(output).expanduser().resolve()
    try:
        with exclusive(target):
            check_target(target, overwrite)
            with staged_folder(target) as staging:
                try:
                    yield staging
                except ArtifactError as error:  # the staging folder is gone when the message is read
                    raise ArtifactError(str(error).replace(str(staging), str(output))) from error
    except OSError as error:
        raise ExportError(f"{output}: cannot be written ({error.strerror or error})") from error


@contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """Hold the lock that every process on this machine takes before it writes to `target`.

    The operating system frees the lock when its process dies. Entering clears what that process left behind.
    Lock files are in the cache folder, so that none stays beside the target.
    """
    from filelock import FileLock  # imports asyncio, which embedding does not need

    name = hashlib.sha256(os.fsencode(target)).hexdigest()[:32]
    try:
        locks = cache_root() / "locks"
        locks.mkdir(parents=True, exist_ok=True)
    except OSError:  # the home folder is read-only in many containers
        user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
        locks = Path(tempfile.gettempdir()) / f"portvec-locks-{user}"
        locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / f"{name}.lock"):
        _recover(target)
        yield


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target`, and rename it to `target` when the block ends.

    If the block raises, the folder is removed and `target` stays as it was. An existing `target` is replaced
    by two renames and is missing between them. If the process dies at that moment, the next process that
    enters `exclusive(target)` puts the old folder back.

    Callers must hold `exclusive(target)`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=_PARTIAL, dir=target.parent))
    try:
        yield staging
        staging.chmod(0o777 & ~_umask())  # mkdtemp makes it 0700, which locks other users out
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
    """Yield a path beside `target`, and rename the file there to `target` when the block ends."""
    staging = target.with_name(f".{target.name}.{os.getpid()}{_PARTIAL}")
    try:
        yield staging
        staging.replace(target)
    finally:
        staging.unlink(missing_ok=True)


def _recover(target: Path) -> None:
    """Undo or finish what a killed process was doing to `target`."""
    prefix = f".{target.name}."
    for entry in target.parent.iterdir() if target.parent.is_dir() else ():
        if not entry.name.startswith(prefix) or not entry.is_dir():
            continue
        # mkdtemp puts eight characters in the middle. A longer middle belongs to another target, name.other.
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
