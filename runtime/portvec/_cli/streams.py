"""Texts that commands read, with a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from portvec._bulk.sources import Source, open_source, open_stream, read_texts
from portvec._cli.output import is_quiet
from portvec._progress import Progress


def open_texts(path: Path | None, field: str | None, format: str | None = None) -> Iterator[str]:
    """Return the texts of files, or of standard input if `path` is None or "-"."""
    return read_texts(open_rows(path, field, format))


def open_rows(path: Path | None, field: str | None, format: str | None = None) -> Source:
    """Return the rows of files, or of standard input if `path` is None or "-"."""
    if path is not None and str(path) != "-":
        return open_source(path, format=format, field=field)
    if sys.stdin is None or sys.stdin.isatty():
        raise click.UsageError("no text given; pass a file with -i, or pipe lines into standard input")
    # Bytes are UTF-8 whatever the locale is.
    return open_stream(sys.stdin.buffer, "standard input", format=format, field=field)


def show_progress(texts: Iterable[str]) -> Iterable[str]:
    """Show a progress bar on a terminal if reading takes longer than a moment, unless --quiet is given."""
    hidden = is_quiet() or sys.stderr is None or None  # None: hidden unless stderr is a terminal
    progress: Iterable[str] = Progress(texts, unit=" texts", disable=hidden, leave=False, delay=1.0)
    return progress
