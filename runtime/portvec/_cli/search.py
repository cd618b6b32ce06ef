"""The command `portvec search`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from portvec._bulk.milvus.searching import search_milvus
from portvec._bulk.milvus.target import parse_target, show_target
from portvec._bulk.search import search as find_nearest
from portvec._bulk.stored import search_stored
from portvec._cli.options import (
    SOURCE,
    TEXT,
    field_option,
    format_option,
    hub_options,
    input_option,
    json_option,
    milvus_token_option,
    quiet_option,
    run_options,
)
from portvec._cli.output import emit
from portvec._cli.streams import open_texts, show_progress
from portvec._embedder import StaticEmbedder
from portvec._terminal import escape
from portvec.errors import FileError

_KEY_WIDTH = 36  # characters of a primary key; a UUID has as many


@click.command()
@click.argument("model", type=SOURCE)
@click.argument("query", type=TEXT)
@input_option
@format_option
@click.option(
    "--vectors",
    type=click.Path(path_type=Path, readable=False),
    help="Stored vectors to search instead: a .parquet, .arrow or .npy file, or a folder of the first two. "
    "-i gives the texts of a .npy file.",
)
@click.option(
    "--milvus", metavar="URI/COLLECTION", help="Collection in Milvus, or in a file of Milvus Lite, to search."
)
@field_option
@click.option(
    "--vector-field",
    help="Column of --vectors, or field of --milvus, that holds the vectors. "
    '[default: the one that the file names, else "embedding"; the only one of a collection]',
)
@click.option("-k", default=5, show_default=True, type=click.IntRange(min=1), help="How many to print.")
@json_option
@milvus_token_option
@run_options
@hub_options
@quiet_option
def search(
    model: str,
    query: str,
    path: Path | None,
    format: str | None,
    vectors: Path | None,
    milvus: str | None,
    field: str | None,
    vector_field: str | None,
    k: int,
    as_json: bool,
    milvus_token: str | None,
    **options: Any,
) -> None:
    """Print the texts of a file, or of standard input, that are nearest to QUERY.

    With --vectors or --milvus, the texts were embedded before, and only QUERY is embedded now.
    """
    _check_options(path, vectors, milvus, vector_field)
    target = None if milvus is None else parse_target(milvus)
    embedder = StaticEmbedder.load(model, **options)
    hits: Sequence[Any]
    if target is not None:
        name: object = show_target(*target)
        hits = search_milvus(
            *target,
            embedder.encode_queries(query),
            k,
            field=field,
            vector_field=vector_field,
            token=milvus_token,
        )
        keys = ["score", "id", "text"]
    elif vectors is not None:
        name = vectors
        texts = None if path is None else show_progress(open_texts(path, field, format))
        hits = search_stored(embedder, vectors, query, k, field=field, vector_field=vector_field, texts=texts)
        keys = ["score", "position", "text"]
    else:
        name = path or "standard input"
        hits = find_nearest(embedder, show_progress(open_texts(path, field, format)), query, k)
        keys = ["score", "text"]
    if not hits and not as_json:
        raise FileError(f"{name}: has no {'text' if keys == ['score', 'text'] else 'vector'} to search")
    emit(as_json, [hit._asdict() for hit in hits], *_format(hits, keys))


def _check_options(
    path: Path | None, vectors: Path | None, milvus: str | None, vector_field: str | None
) -> None:
    """Refuse options that ask for two places to search, or say something of neither."""
    if milvus is not None and (vectors is not None or path is not None):
        raise click.UsageError(f"give --milvus or {'-i' if vectors is None else '--vectors'}, not both")
    if vector_field is not None and milvus is None and vectors is None:
        raise click.UsageError("--vector-field is for --vectors and --milvus")


def _format(hits: Sequence[Any], keys: list[str]) -> Iterator[str]:
    """Return the lines of a table as wide as the terminal, without a column that has no values."""
    table = []
    for key in keys:
        values = [getattr(hit, key) for hit in hits]
        if key == "score":
            cells = [f"{value:6.3f}" for value in values]
        else:
            cells = ["" if value is None else escape(" ".join(str(value).split())) for value in values]
        if key == "text":
            if any(value is not None for value in values):
                table.append([key, *cells])  # the last, so that it need not be as wide as its longest
            continue
        width = min(_KEY_WIDTH, max(map(len, [key, *cells]), default=0))
        is_text = any(isinstance(value, str) for value in values)
        table.append([f"{_cut(cell, width):{'<' if is_text else '>'}{width}}" for cell in [key, *cells]])
    width = shutil.get_terminal_size().columns
    return (_cut("  ".join(row), width) for row in zip(*table, strict=True))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
