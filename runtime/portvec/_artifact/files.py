"""Reading files that others wrote: their kind and size are checked before a byte is read."""

from __future__ import annotations

import errno
import json
import mmap
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

# A file's bytes, read or mapped.
Content: TypeAlias = "bytes | mmap.mmap"

# The largest tokenizer.json of a model in use has 35 MB. Parsed, JSON takes several times its size in memory.
JSON_LIMIT: Final = 1 << 28
# A manifest has a few KiB, and a few MiB if it names a hundred thousand classes.
MANIFEST_LIMIT: Final = 1 << 24
# Up to this size, reading takes no longer than mapping, and it needs no descriptor.
_SMALL = 1 << 16


def read_file(path: Path, limit: int = JSON_LIMIT) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        OSError: the file cannot be opened, is not a regular file, or has more than `limit` bytes.
    """
    with _open(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise OSError(errno.EFBIG, f"{size:,} bytes, and such a file has at most {limit:,}")
        return file.read(size)


def hold_file(path: Path) -> Content:
    """Return the content of a regular file, which stays what it is if another file takes its place.

    A large file is mapped: that takes no memory of the process, and no time until its pages are used. Where
    the file system cannot map, it is read.

    Raises:
        OSError: the file cannot be opened, or is not a regular file.
    """
    with _open(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= _SMALL:
            return file.read(size)
        try:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            return file.read(size)


def parse_json(content: str | Content) -> Any:
    """Return the value of a JSON document in UTF-8.

    Raises:
        ValueError: it is not JSON, or is nested too deeply for Python's parser.
    """
    text = content if isinstance(content, str) else str(content, "utf-8")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _open(path: Path) -> BinaryIO:
    # Without this flag, opening a pipe waits until somebody writes to it.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return os.fdopen(descriptor, "rb")
