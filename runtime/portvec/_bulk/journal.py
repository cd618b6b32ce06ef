"""The journal of a run: which parts are written, so that the next run goes on after them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from portvec.errors import FileError

# What is added to the name of an output, for the folder that holds it while it is incomplete.
SUFFIX: Final = ".partial"
_JOURNAL = "journal"
_LOCK = "lock"
_FINISHED = "finished"
# What else those who write an output may put into the folder: the output, the list of rows that were skipped,
# and what the output replaces; or folders of runs, whose names begin alike.
DATA: Final = "data"
SKIPPED: Final = "skipped"
REPLACED: Final = "replaced"
RUN_PREFIX: Final = "run-"


class Entry(NamedTuple):
    """A part that is on the disk.

    Attributes:
        rows: number of rows, with all parts before.
        skipped: number of rows that were skipped, with all parts before.
        sizes: bytes of each file at the end of this part, by name.
        note: what the writer of the output needs to go on.
    """

    rows: int
    skipped: int
    sizes: dict[str, int]
    note: Any


class Journal:
    """The folder of an output that is incomplete, with the journal in it.

    Each line of the journal is written after the part that it stands for is on the disk. A line that a crash
    has cut off does not count.

    Attributes:
        folder: the folder.
        entries: the parts that are written.
        is_finished: whether the output is complete, and has only to be moved to its place.
        is_continued: whether an earlier run has begun it.
        is_begun: whether there is something to go on with, if only outside the folder.
    """

    def __init__(self, folder: Path, entries: list[Entry], is_finished: bool, is_continued: bool) -> None:
        self.folder = folder
        self.entries = entries
        self.is_finished = is_finished
        self.is_continued = self.is_begun = is_continued

    @property
    def last(self) -> Entry:
        """The last part, or one that stands for none."""
        return self.entries[-1] if self.entries else Entry(0, 0, {}, None)

    def append(self, entry: Entry) -> None:
        """Record a part, whose files are on the disk."""
        self._write(entry._asdict())
        self.entries.append(entry)
        self.is_begun = True

    def finish(self) -> None:
        """Record that the output is complete."""
        self._write({_FINISHED: True})
        self.is_finished = True

    def remove(self) -> None:
        """Forget the run, whose folder goes when the journal is closed."""
        # Without a header, what a crash leaves is not mistaken for a run.
        (self.folder / _JOURNAL).unlink()
        self.is_begun = False

    def _write(self, value: dict[str, Any]) -> None:
        with (self.folder / _JOURNAL).open("a", encoding="utf-8") as file:
            file.write(json.dumps(value) + "\n")
            flush(file)


@contextmanager
def open_journal(
    output: Path, settings: dict[str, Any], *, overwrite: bool, resume: bool = True
) -> Iterator[Journal]:
    """Open the journal of `output`, which another run may have begun with the same settings.

    With `overwrite`, what a run with other settings has left is thrown away. Without `resume`, what any run
    has left is.

    Raises:
        FileError: it was begun with other settings, another process writes to it, or it cannot be read.
    """
    from filelock import FileLock, Timeout

    folder = output.with_name(output.name + SUFFIX)
    folder.mkdir(mode=0o700, exist_ok=True)
    _check_ours(folder)
    try:
        with FileLock(folder / _LOCK, timeout=0):
            header, entries, is_finished = _read(folder) if resume else (None, [], False)
            if header is not None and header != settings:
                if not overwrite:
                    rows = f"{entries[-1].rows:,} rows of " if entries else ""
                    raise FileError(
                        f"{folder}: holds {rows}a run with another {_find_difference(header, settings)}; "
                        "repeat that run to go on with it, or pass overwrite=True to begin again"
                    )
                header = None
            if header is None:
                _clear(folder)
                entries, is_finished = [], False
            journal = Journal(folder, entries, is_finished, header is not None)
            try:
                if header is None:
                    journal._write(settings)
                    sync_folder(folder)
                yield journal
            finally:
                if not journal.is_begun:
                    shutil.rmtree(folder, ignore_errors=True)
    except Timeout:
        message = f"{output}: another process writes it; wait for it, or choose another output"
        raise FileError(message) from None


def _read(folder: Path) -> tuple[dict[str, Any] | None, list[Entry], bool]:
    """Return the settings, the parts, and whether the output is complete; no settings if there is no run."""
    path = folder / _JOURNAL
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None, [], False
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    try:
        lines = [json.loads(line) for line in whole.splitlines()]
        is_finished = len(lines) > 1 and _FINISHED in lines[-1]
        entries = [Entry(**line) for line in lines[1 : -1 if is_finished else None]]
    except (ValueError, TypeError) as error:
        raise FileError(f"{path}: damaged ({error}); remove {folder} and begin again") from error
    return lines[0] if lines else None, entries, is_finished


def is_journal(folder: Path) -> bool:
    """Return whether a folder holds an output that is not complete."""
    return folder.name.endswith(SUFFIX) and (folder / _JOURNAL).exists()


def _check_ours(folder: Path) -> None:
    """Check that a folder is the one of a journal, because its content may be deleted.

    Raises:
        FileError: it holds something, and no journal.
    """
    # A process that died while it removed the folder has left one without a journal.
    names = {path.name for path in folder.iterdir()}
    others = sorted(
        name for name in names - {_LOCK, DATA, SKIPPED, REPLACED} if not name.startswith(RUN_PREFIX)
    )
    if others and _JOURNAL not in names:
        raise FileError(
            f"{folder}: holds {others[0]}, which is not portvec's, and portvec would write there until the "
            "output is complete; move the folder, or choose another output"
        )


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink()


def _find_difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Return the name of the first setting that differs, and in what if that is short."""
    for name in {**now, **before}:
        old: Any = before.get(name)
        new: Any = now.get(name)
        if old == new:
            continue
        # A prompt may be empty, or have characters that a terminal obeys.
        values = f" ({old!r}, now {new!r})" if name == "prompt" else f" ({old}, now {new})"
        if name == "input":
            files = [file[0] for file in [*new, *old] if (file in old) != (file in new)]
            values = f" ({files[0] if files else 'the same files in another order'})"
        elif isinstance(old, dict) and isinstance(new, dict):
            values = f" ({next(key for key in {**old, **new} if old.get(key) != new.get(key))})"
        return f"{name.replace('_', ' ')}{values if len(values) < 120 else ''}"
    raise AssertionError


def flush(file: IO[Any]) -> int:
    """Wait until what was written to a file is on the disk, and return the position in it."""
    file.flush()
    os.fsync(file.fileno())
    return file.tell()


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk. Only POSIX can do that, and not for every folder."""
    if os.name == "posix":
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
