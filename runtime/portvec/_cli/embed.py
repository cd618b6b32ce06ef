"""The command `portvec embed`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from portvec._artifact import format as fmt
from portvec._bulk.milvus.target import is_target
from portvec._bulk.milvus.writing import METRICS
from portvec._bulk.outputs.jsonl import format_lines
from portvec._bulk.running import Counts, Plan, embed_each, read_parts, skipped_beside
from portvec._bulk.sources import Source
from portvec._bulk.sources.given import GivenTexts
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
from portvec._cli.output import inform, write_out
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
@click.option(
    "--prompt-name",
    default=fmt.DOCUMENT,
    show_default=True,
    help="Name of the model's prompt to put before each text.",
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
    help="Embed Parquet files on a cluster. OUTPUT is a folder then, whose files have the rows in order.",
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
    prompt_name: str,
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
    _check_options(texts, path, output, engine)
    plan = Plan(
        embedding=embedding,
        dtype=dtype,
        fixed_size=vectors_as == "fixed-size-list",
        on_error=on_error,
        prompt_name=prompt_name,
        overwrite=overwrite,
        part_rows=part_rows,
    )
    source = GivenTexts(texts) if texts else open_rows(path, field, format if engine is None else "parquet")
    if engine is not None and output is not None:
        _embed_on_ray(model, source, output, plan, address, options)
        return
    embedder = StaticEmbedder.load(model, **options)
    if output is None:
        _print_rows(embedder, source, plan)
        return
    with count_rows(source) as progress:
        if is_target(output):
            beside = beside_target(output)
            counts = embed_into_milvus(
                embedder, source, output, plan, progress, id_field=id_field, metric=metric, token=milvus_token
            )
        else:
            beside = Path(output)
            run = embed_file if can_resume(source, beside) else embed_once
            counts = run(embedder, source, beside, plan, progress)
    inform(_describe(output, counts, embedder.dim, beside))


def _check_options(texts: tuple[str, ...], path: Path | None, output: str | None, engine: str | None) -> None:
    """Check that options go together, so that none is without effect."""
    if texts and path is not None:
        raise click.UsageError(
            "give texts as arguments or with -i, not both, and a pattern such as '*.parquet' in quotes"
        )
    if engine is not None and (path is None or output is None or is_target(output)):
        raise click.UsageError("--engine embeds Parquet files into a folder; give both with -i and -o")
    to_milvus = output is not None and is_target(output)
    suffix = Path(output or "").suffix.lower()
    if texts:
        _refuse("rows of files, not for texts as arguments; leave it out", "format", "field", "on_error")
    if engine is None:
        _refuse("--engine; leave it out, or give --engine ray", "address")
    else:
        _refuse("files of other formats, and --engine reads Parquet; leave it out", "format")
    if output is None:
        _refuse("an output; give one with -o", "overwrite", "part_rows")
    if not to_milvus:
        _refuse("rows in Milvus; give -o milvus:URI/COLLECTION", "id_field", "metric", "milvus_token")
    if engine is None and (to_milvus or suffix not in (".parquet", ".arrow")):
        _refuse("Parquet and Arrow files; give such an output", "vectors_as")
    if engine is None and suffix == ".npy":
        _refuse("outputs with names, which .npy has not; give another output", "embedding")


def _refuse(purpose: str, *names: str) -> None:
    """Refuse options that are given, but would have no effect."""
    context = click.get_current_context()
    for option in context.command.params:
        if option.name in names and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{max(option.opts, key=len)} is for {purpose}")


def _embed_on_ray(
    model: str, source: Source, output: str, plan: Plan, address: str | None, options: dict[str, Any]
) -> None:
    from portvec.integrations._engines import shared_model
    from portvec.integrations._ray_cluster import run_on_cluster  # it needs an extra
    from portvec.integrations._to_folder import embed_folder

    loaded = shared_model(model, {name: value for name, value in options.items() if value is not None})
    with count_rows(source) as progress:
        counts = embed_folder(loaded, source, output, plan, run_on_cluster(address), progress)
    inform(_describe(output, counts, loaded.embedder.dim, Path(output)))


def _print_rows(embedder: StaticEmbedder, source: Source, plan: Plan) -> None:
    for part, rows in embed_each(embedder, read_parts(embedder, source, plan), plan):
        for bad in part.skipped:
            inform(f"skipped {bad.message()}")
        for line in format_lines(part, rows, plan.embedding, plan.dtype):
            write_out(line.decode())


def _describe(output: str, counts: Counts, dim: int, beside: Path) -> str:
    line = f"{output}: {counts.rows:,} embeddings of dimension {dim}"
    if counts.resumed:
        line += f", {counts.resumed:,} of them from before"
    if counts.skipped:
        report = skipped_beside(beside.resolve() if beside.is_symlink() else beside)
        line += f"; {counts.skipped:,} rows skipped, see {report}"
    return line
