"""Which files a path means, and which format they have."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from portvec._bulk.journal import is_journal
from portvec.errors import FileError

SUFFIXES: Final = {
    ".txt": "txt",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
FORMATS: Final = tuple(dict.fromkeys(SUFFIXES.values()))
TEXT_FORMATS: Final = ("txt", "jsonl", "csv", "tsv")
_COMPRESSIONS: Final = {".gz": "gzip", ".zst": "zstd"}


class Found(NamedTuple):
    """A file of texts. Its compression is "gzip", "zstd" or None."""

    path: Path
    format: str
    compression: str | None


def find(name: str, format: str | None) -> list[Found]:
    """Return the files that a path means: a file, the files of a folder, or what a glob pattern matches.

    Raises:
        FileError: there is no such file, its format is unknown, or several formats are mixed.
    """
    several = True
    path = Path(name)
    with _reading(name):
        if path.is_dir():
            paths = sorted(each for each in path.iterdir() if each.name[0] not in "._" and not each.is_dir())
            if not paths:
                raise FileError(
                    f"{name}: the folder has no file of texts; for those in folders of it, give a pattern "
                    f"such as '{path / '**' / '*.parquet'}'"
                )
        elif glob.has_magic(name) and not os.path.lexists(name):
            paths = sorted(each for each in map(Path, _match(name)) if not each.is_dir())
            if not paths:
                raise FileError(f"{name}: no file has this name, or matches it as a pattern")
        else:
            paths, several = [path], False
            path.stat()
    found = [_identify(each, format, several) for each in paths]
    other = next((each for each in found if each.format != found[0].format), None)
    if other is not None:
        raise FileError(
            f"{name}: has files of several formats, such as {found[0].path.name} and {other.path.name}; give "
            f"a pattern such as '*{found[0].path.suffix}'"
        )
    return found


def _match(pattern: str) -> list[str]:
    """Return what a pattern matches, without the parts of an output that is not complete."""
    found = glob.glob(pattern, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern
    return [path for path in found if not any(map(is_journal, Path(path).parents))]


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(f"{name}: cannot be read ({error.strerror or error})") from error


def _identify(path: Path, format: str | None, several: bool) -> Found:
    compression = _COMPRESSIONS.get(path.suffix.lower())
    suffix = (Path(path.stem) if compression else path).suffix.lower()
    format = format or SUFFIXES.get(suffix)
    if format is None:
        remedy = "give a pattern without it, or name" if several else "name"
        raise FileError(
            f"{path}: unknown suffix for texts, expected {', '.join(SUFFIXES)}, or one of the first five "
            f"with .gz or .zst; {remedy} the format with format=..."
        )
    if compression and format not in TEXT_FORMATS:
        raise FileError(
            f"{path}: a compressed {format} file, which has to be read from its end; decompress it first"
        )
    return Found(path, format, compression)
