"""The command `portvec search`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from portvec._bulk.search import Hit
from portvec._bulk.search import search as find_nearest
from portvec._cli.options import (
    SOURCE,
    TEXT,
    field_option,
    format_option,
    hub_options,
    input_option,
    json_option,
    quiet_option,
    run_options,
)
from portvec._cli.output import emit
from portvec._cli.streams import open_texts, show_progress
from portvec._embedder import StaticEmbedder
from portvec._terminal import escape
from portvec.errors import FileError


@click.command()
@click.argument("model", type=SOURCE)
@click.argument("query", type=TEXT)
@input_option
@format_option
@field_option
@click.option("-k", default=5, show_default=True, type=click.IntRange(min=1), help="How many to print.")
@json_option
@run_options
@hub_options
@quiet_option
def search(
    model: str,
    query: str,
    path: Path | None,
    format: str | None,
    field: str | None,
    k: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Print the texts of a file, or of standard input, that are nearest to QUERY."""
    embedder = StaticEmbedder.load(model, **options)
    hits = find_nearest(embedder, show_progress(open_texts(path, field, format)), query, k)
    if not hits and not as_json:
        raise FileError(f"{path or 'standard input'}: has no text to search")
    emit(as_json, [hit._asdict() for hit in hits], *_format(hits))


def _format(hits: list[Hit]) -> Iterator[str]:
    """Yield the lines of a table as wide as the terminal."""
    width = shutil.get_terminal_size().columns - len(" 0.000  ")
    yield " score  text"
    for hit in hits:
        line = escape(" ".join(hit.text.split()))
        yield f"{hit.score:6.3f}  {line if len(line) <= width else line[: width - 1] + '…'}"
