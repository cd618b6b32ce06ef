"""Files and folders that appear only when they are complete, even if the process is killed.

Each writer works in a hidden folder of its own beside the target, so writers do not wait for each other.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from portvec._artifact import format as fmt
from portvec._artifact.paths import expand_home
from portvec._artifact.working_folder import NEW, REPLACED, working_folder
from portvec.errors import ArtifactError, ExportError

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)  # what a rename to a folder that holds something fails with


def check_target(output: str | os.PathLike[str], overwrite: bool) -> None:
    """Check that an artifact can be written to `output`. Call this before a long piece of work.

    It puts back an artifact that a process which died was replacing.

    Raises:
        ExportError: `output` is taken, cannot be replaced, or its parent folder cannot be written. With
            `overwrite`, an artifact may be replaced.
    """
    target = _target_of(output)
    existing = next(folder for folder in target.parents if folder.exists())
    with _naming(output), working_folder(existing / target.name) as work:
        _check_free(target, output, overwrite)
        _check_replaceable(target, output, work)


@contextmanager
def new_folder(output: str | os.PathLike[str], *, overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder that becomes `output` when the block ends; `overwrite` replaces an artifact.

    If the block raises, `output` stays as it was. Errors about the artifact name `output`. Of processes that
    write to the same `output`, with `overwrite` the last one wins, and else the first one.

    An existing `output` is replaced by two renames and is missing between them. If the process dies at that
    moment, the next one that writes to `output` puts the old artifact back.

    Raises:
        ExportError: `output` is taken, or cannot be written.
    """
    target = _target_of(output)
    with _naming(output), working_folder(target, parents=True) as work:
        staging = work / NEW
        staging.mkdir()
        try:
            yield staging
        except ArtifactError as error:  # the staging folder is gone when the message is read
            raise ArtifactError(str(error).replace(str(staging), str(output))) from error
        _check_free(target, output, overwrite)
        before = _stat(target)
        _move_into_place(staging, target, output, overwrite, work / REPLACED)
        if before is not None:
            copy_permissions(before, target)


@contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """Yield the path of an empty file, which becomes `path` when the block ends.

    A file that exists keeps its owner and mode. A link is followed. A device or pipe is not a file that can
    be replaced: its own path is yielded.

    Raises:
        OSError: `path` is a folder, or cannot be written.
    """
    before = _stat(path)
    if before is not None and stat.S_ISDIR(before.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if before is not None and not stat.S_ISREG(before.st_mode):
        yield path
        return
    target = path.resolve()
    with working_folder(target) as work:
        staging = work / NEW
        # What replaces a private file is private while it is written, too.
        os.close(os.open(staging, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600 if before else 0o666))
        yield staging
        if before is not None:
            copy_permissions(before, staging)
        staging.replace(target)


def _target_of(output: str | os.PathLike[str]) -> Path:
    return expand_home(output, ExportError).resolve()


@contextmanager
def _naming(output: str | os.PathLike[str]) -> Iterator[None]:
    """Turn errors of the operating system into one that names `output`."""
    try:
        yield
    except OSError as error:
        raise ExportError(f"{output}: cannot be written ({error.strerror or error})") from error


def _stat(path: Path) -> os.stat_result | None:
    """Return None for a missing path. Nothing asks first, because another process may take it away."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _list(folder: Path) -> set[str]:
    """Return the names in a folder, none if it is missing."""
    while True:
        before = _stat(folder)
        if before is None:
            return set()
        with suppress(FileNotFoundError):
            names = {path.name for path in folder.iterdir()}
            after = _stat(folder)
            if after is not None and os.path.samestat(before, after):
                return names
        # Another process replaced the folder, and may have deleted some of its files before they were listed.


def _check_free(target: Path, output: str | os.PathLike[str], overwrite: bool) -> None:
    """Refuse a target that is neither missing, nor an empty folder, nor an artifact to be replaced."""
    try:
        names = _list(target)
    except NotADirectoryError:
        message = f"{output}: is a file, expected a folder to create; choose another output"
        raise ExportError(message) from None
    if _holds_current_folder(target):
        raise ExportError(
            f"{output}: is the current folder or holds it, and a new folder would replace it; choose another "
            "output, such as ./model"
        )
    if not names:
        return
    if not overwrite:
        raise ExportError(f"{output}: exists and is not empty; choose another output, or pass overwrite=True")
    if fmt.MANIFEST not in names:
        raise ExportError(
            f"{output}: holds files but no {fmt.MANIFEST}, so it is not an artifact, and overwrite=True does "
            "not delete it; choose another output"
        )


def _holds_current_folder(target: Path) -> bool:
    """Return whether this process, and the shell that started it, would be left in a deleted folder."""
    try:
        current = Path.cwd()
        return any(folder.samefile(target) for folder in (current, *current.parents))
    except FileNotFoundError:  # either was deleted already
        return False


def _check_replaceable(target: Path, output: str | os.PathLike[str], work: Path) -> None:
    """Refuse a mount point: no rename replaces it. os.path.ismount does not know every kind of them."""
    before = _stat(target)
    if before is None:
        return
    probe = work / NEW
    probe.mkdir()
    try:
        probe.rename(target)  # takes the place of an empty folder only
    except OSError as error:
        if error.errno in _TAKEN:
            return
        if error.errno not in (errno.EBUSY, errno.EXDEV):
            raise
        raise ExportError(
            f"{output}: a mount point, which a new folder cannot replace; choose a folder in it, such as "
            f"{Path(output) / 'model'}"
        ) from error
    copy_permissions(before, target)


def _move_into_place(
    staging: Path, target: Path, output: str | os.PathLike[str], overwrite: bool, replaced: Path
) -> None:
    """Rename `staging` to `target`. What is there moves to `replaced` first.

    Other processes may do the same at any moment: the target may be there again before the rename.
    """
    while True:
        try:
            staging.rename(target)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        else:
            return _discard(replaced)
        _check_free(target, output, overwrite)
        _discard(replaced)
        with suppress(FileNotFoundError):
            target.rename(replaced)


def _discard(replaced: Path) -> None:
    """Rename what was replaced. If the process dies while it is deleted, nobody must put half of it back."""
    if replaced.exists():
        replaced.rename(Path(tempfile.mkdtemp(dir=replaced.parent)) / REPLACED)


def copy_permissions(before: os.stat_result, path: Path) -> None:
    """Give `path` the owner, group and mode of what it replaces, as far as this user may."""
    mode = stat.S_IMODE(before.st_mode)
    if os.name == "posix" and not _chown(path, before):
        mode &= ~0o7070  # they would hold for another group
    with suppress(FileNotFoundError):  # another process has taken its place already
        path.chmod(mode)


def _chown(path: Path, before: os.stat_result) -> bool:
    """Return whether `path` has the group of `before` now. Only root may give a file to another user."""
    for owner in (before.st_uid, -1):
        with suppress(OSError):
            os.chown(path, owner, before.st_gid)
            return True
    return False
