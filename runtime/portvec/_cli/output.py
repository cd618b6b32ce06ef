"""How commands print: results to stdout, messages to stderr, and nothing that acts on the terminal."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterable
from typing import Any

import click

from portvec._terminal import escape, escape_json
from portvec.errors import FileError

_QUIET = "portvec.quiet"  # a key of click's context


def emit(as_json: bool, value: Any, *lines: str) -> None:
    """Print a result to stdout: `value` as JSON, or `lines`."""
    if as_json:
        emit_json(json.dumps(value, ensure_ascii=False) + "\n")
    else:
        emit_lines(lines)


def emit_lines(lines: Iterable[str]) -> None:
    """Print lines to stdout."""
    write_out("".join(f"{escape(line)}\n" for line in lines))


def emit_json(document: str) -> None:
    """Print JSON to stdout."""
    write_out(escape_json(document))


def write_out(text: str) -> None:
    """Write to stdout what is safe to print.

    Raises:
        FileError: stdout is closed, or cannot be written.
        BrokenPipeError: nobody reads it any more.
    """
    if sys.stdout is None:
        raise FileError("standard output: is closed; give the command somewhere to write")
    try:
        sys.stdout.write(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise cannot_print(error) from error


def cannot_print(error: OSError) -> FileError:
    """Return the error for a full disk, or whatever else is behind stdout."""
    return FileError(f"standard output: cannot be written ({error.strerror or error})")


def inform(text: str) -> None:
    """Print a message of one line to stderr, unless --quiet is given."""
    if not is_quiet():
        print_error(text)


def print_error(text: str) -> None:
    """Print a line to stderr, even if --quiet is given."""
    click.echo(escape(text), err=True)


def is_quiet() -> bool:
    """Return whether --quiet is given to the command that runs."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_QUIET))


def set_quiet(context: click.Context, _param: click.Parameter, value: bool) -> None:
    """Remember --quiet. It is a callback of click."""
    context.meta[_QUIET] = value
    if value:
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"  # huggingface_hub reads it when it is imported


class MessageHandler(logging.Handler):
    """Prints what libraries log as messages."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line."""
        inform(" ".join(record.getMessage().split()))


def format_amount(files: int, size: int) -> str:
    """Return a number of files and their size in bytes as text."""
    return f"{files} files, {size / 1e6:.1f} MB"
