"""Paths as users write them."""

from __future__ import annotations

import os
from pathlib import Path

from portvec.errors import PortvecError


def expand_home(path: str | os.PathLike[str], error: type[PortvecError]) -> Path:
    """Return `path` with the home folder in place of `~`.

    Raises:
        error: the home folder is not known. Containers may run as a user that the system does not list.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as cause:
        raise error(f"{path}: the home folder is not known; write the path without ~") from cause


def printable(name: str) -> str:
    """Return a file name as text that any encoding of Unicode can hold.

    Bytes that are not UTF-8 come from the operating system as lone surrogates, which files of text refuse.
    """
    return os.fsencode(name).decode("utf-8", errors="replace") if os.name == "posix" else name
