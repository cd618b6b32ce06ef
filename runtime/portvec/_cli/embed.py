"""The command `portvec embed`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from portvec._bulk.milvus.target import is_target
from portvec._bulk.milvus.writing import METRICS
from portvec._bulk.outputs.jsonl import format_lines
from portvec._bulk.running import Counts, Plan, embed_each, read_parts, skipped_beside
from portvec._bulk.sources import Source
from portvec._bulk.sources.given import GivenTexts
from portvec._bulk.sources.plain_lines import TEXT as TEXT_COLUMN
from portvec._bulk.to_file import can_resume, embed_file, embed_once
from portvec._bulk.to_milvus import beside_target, embed_into_milvus
from portvec._cli.options import (
    SOURCE,
    TEXT,
    field_option,
    format_option,
    hub_options,
    input_option,
    milvus_token_option,
    quiet_option,
    run_options,
)
from portvec._cli.output import inform, is_quiet, write_out
from portvec._cli.progress import count_rows
from portvec._cli.streams import open_rows
from portvec._embedder import StaticEmbedder


@click.command()
@click.argument("model", type=SOURCE)
@click.argument("texts", nargs=-1, metavar="[TEXT ...]", type=TEXT)
@input_option
@format_option
@field_option
@click.option(
    "-o",
    "--output",
    help="File to write: .npy, .jsonl, .parquet or .arrow; or milvus:URI/COLLECTION.",
)
@click.option(
    "--vector-field",
    "embedding",
    default="embedding",
    show_default=True,
    help="Field or column to write the embeddings to.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    show_default=True,
    help="Type of the numbers to write.",
)
@click.option(
    "--vectors-as",
    type=click.Choice(["fixed-size-list", "list"]),
    default="fixed-size-list",
    show_default=True,
    help="Type of the column of embeddings in Parquet and Arrow files. Some readers take only lists.",
)
@click.option(
    "--on-error",
    type=click.Choice(["fail", "skip"]),
    default="fail",
    show_default=True,
    help="What to do about a row that cannot be embedded. Skipped rows are listed in OUTPUT.skipped.jsonl.",
)
@click.option(
    "--part-rows",
    type=click.IntRange(min=1),
    help="Rows written at a time, and in each row group. [default: as many as take 16 MiB]",
)
@click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
@click.option(
    "--id", "id_field", help="Column that is the primary key in Milvus. [default: the row's number]"
)
@click.option(
    "--metric",
    type=click.Choice(METRICS),
    default="COSINE",
    show_default=True,
    help="Metric of the collection in Milvus.",
)
@milvus_token_option
@click.option(
    "--engine",
    type=click.Choice(["ray"]),
    help="Embed Parquet files on a cluster. OUTPUT is a folder then, and the order of rows is not kept.",
)
@click.option("--address", help="Address of the cluster, such as auto. [default: processes on this machine]")
@run_options
@hub_options
@quiet_option
def embed(
    model: str,
    texts: tuple[str, ...],
    path: Path | None,
    format: str | None,
    field: str | None,
    output: str | None,
    embedding: str,
    dtype: Any,
    vectors_as: str,
    on_error: Any,
    part_rows: int | None,
    overwrite: bool,
    id_field: str | None,
    metric: str,
    milvus_token: str | None,
    engine: str | None,
    address: str | None,
    **options: Any,
) -> None:
    """Embed texts: arguments, files, or lines from standard input.

    Without -o, print one JSON object per line: the fields of the row and its embedding. With -o, rows keep
    their order and their other columns. If the command is stopped, the same command goes on.
    """
    if texts and path is not None:
        raise click.UsageError("give texts as arguments or with -i, not both")
    if engine is not None:
        if path is None or output is None:
            raise click.UsageError("--engine embeds Parquet files into a folder; give both with -i and -o")
        if on_error != "fail" or part_rows is not None or format not in (None, "parquet"):
            raise click.UsageError("--on-error, --part-rows and --format do not go with --engine")
        rows = _embed_on_ray(
            model,
            path,
            output,
            column=field or TEXT_COLUMN,
            name=embedding,
            dtype=dtype,
            fixed_size=vectors_as == "fixed-size-list",
            overwrite=overwrite,
            address=address,
            **options,
        )
        inform(f"{output}: {rows:,} embeddings")
        return
    if address is not None:
        raise click.UsageError("--address is for --engine; leave it out, or give --engine ray")
    embedder = StaticEmbedder.load(model, **options)
    source = GivenTexts(texts) if texts else open_rows(path, field, format)
    plan = Plan(
        embedding=embedding,
        dtype=dtype,
        fixed_size=vectors_as == "fixed-size-list",
        on_error=on_error,
        overwrite=overwrite,
        part_rows=part_rows,
    )
    if output is None:
        _print_rows(embedder, source, plan)
        return
    with count_rows(source) as progress:
        if is_target(output):
            path = beside_target(output)
            counts = embed_into_milvus(
                embedder, source, output, plan, progress, id_field=id_field, metric=metric, token=milvus_token
            )
        else:
            path = Path(output)
            run = embed_file if can_resume(source, path) else embed_once
            counts = run(embedder, source, path, plan, progress)
    skipped = skipped_beside(path.resolve() if path.is_symlink() else path)
    inform(_describe(output, counts, embedder.dim, skipped))


def _embed_on_ray(model: str, path: Path, output: str, **options: Any) -> int:
    from portvec.integrations.ray import embed_parquet  # it needs an extra

    return embed_parquet(model, path, output, progress=not is_quiet() and sys.stderr.isatty(), **options)


def _print_rows(embedder: StaticEmbedder, source: Source, plan: Plan) -> None:
    for part, rows in embed_each(embedder, read_parts(embedder, source, plan)):
        for bad in part.skipped:
            inform(f"skipped {bad.message()}")
        for line in format_lines(part, rows, plan.embedding, plan.dtype):
            write_out(line.decode())


def _describe(output: str, counts: Counts, dim: int, skipped: Path) -> str:
    line = f"{output}: {counts.rows:,} embeddings of dimension {dim}"
    if counts.resumed:
        line += f", {counts.resumed:,} of them from before"
    if counts.skipped:
        line += f"; {counts.skipped:,} rows skipped, see {skipped}"
    return line
