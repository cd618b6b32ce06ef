"""The command `portvec embed`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import click

from portvec._bulk.writers import EmbeddingWriter, embedding_file, jsonl_writer
from portvec._cli.options import field_option, input_option, semantics_option
from portvec._cli.output import inform
from portvec._cli.streams import open_texts, show_progress
from portvec._embedder import StaticEmbedder
from portvec._itertools import batched

_BATCH = 4096  # texts embedded and written at a time


@click.command()
@click.argument("model")
@click.argument("texts", nargs=-1, metavar="[TEXT ...]")
@input_option
@field_option
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write: .npy or .jsonl.")
@semantics_option
def embed(
    model: str,
    texts: tuple[str, ...],
    path: Path | None,
    field: str | None,
    output: Path | None,
    semantics: Literal["model2vec"] | None,
) -> None:
    """Embed texts: arguments, a file, or lines from standard input.

    Without -o, print one JSON object per line, with the text and its embedding.
    """
    if texts and path is not None:
        raise click.UsageError("give texts as arguments or with -i, not both")
    embedder = StaticEmbedder.load(model, semantics=semantics)
    source = texts or open_texts(path, field)
    if output is None:
        _embed_all(embedder, source, jsonl_writer(sys.stdout))
    else:
        with embedding_file(output, embedder.dim) as write:
            count = _embed_all(embedder, source, write)
        inform(f"{output}: {count:,} embeddings of dimension {embedder.dim}")


def _embed_all(embedder: StaticEmbedder, texts: Iterable[str], write: EmbeddingWriter) -> int:
    count = 0
    for batch in batched(show_progress(texts), _BATCH):
        write(batch, embedder.encode(batch))
        count += len(batch)
    return count
