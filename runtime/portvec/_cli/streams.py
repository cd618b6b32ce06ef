"""Texts that commands read, with a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from tqdm import tqdm

from portvec._bulk.readers import read_lines, read_texts


def open_texts(path: Path | None, field: str | None) -> Iterator[str]:
    """Return the texts of a file, or the lines of standard input if `path` is None or "-"."""
    if path is not None and str(path) != "-":
        return read_texts(path, field)
    if sys.stdin is None or sys.stdin.isatty():
        raise click.UsageError("no text given; pass a file with -i, or pipe lines into standard input")
    return read_lines(sys.stdin)


def show_progress(texts: Iterable[str]) -> Iterable[str]:
    """Show a progress bar on a terminal if reading takes longer than a moment."""
    progress: Iterable[str] = tqdm(texts, unit=" texts", disable=None, leave=False, delay=1.0)
    return progress
