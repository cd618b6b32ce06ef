"""How commands print: results to stdout, messages to stderr."""

from __future__ import annotations

import json
from typing import Any

import click


def emit(as_json: bool, value: Any, text: str) -> None:
    """Print a result to stdout: `value` as JSON, or `text`."""
    click.echo(json.dumps(value, ensure_ascii=False) if as_json else text)


def inform(text: str) -> None:
    """Print a message to stderr."""
    click.echo(text, err=True)


def format_amount(files: int, size: int) -> str:
    """Return a number of files and their size in bytes as text."""
    return f"{files} files, {size / 1e6:.1f} MB"
