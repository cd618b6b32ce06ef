"""The command `portvec export`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import click

from portvec._artifact import format as fmt
from portvec._artifact.dtypes import DTYPES
from portvec._cli.describe import summarize
from portvec._cli.options import (
    SOURCE,
    Names,
    hub_options,
    output_folder_option,
    overwrite_option,
    quiet_option,
    semantics_option,
)
from portvec._cli.output import inform
from portvec._messages import install
from portvec.errors import MissingExtraError

# An option whose value may be left out takes the argument that follows it.
_ALONE = f"write --text-input {fmt.STRINGS}, or put --text-input after SOURCE"


def _parse_max_length(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | str | None:
    """Return a number of tokens, None for "none", or "model" if the option is not given."""
    if value is None:
        return "model"
    if value == "none":
        return None
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(f"{value!r} is neither a whole number of 1 or more nor 'none'")
    return int(value)


def _join(ctx: click.Context, param: click.Parameter, values: Sequence[Sequence[str]]) -> list[str]:
    """Return the names of all the times that the option was given."""
    if not all(values):
        raise click.BadParameter(f"no kind is named; {_ALONE}", ctx, param)
    return list(chain.from_iterable(values))


@click.command()
@click.argument("source", type=SOURCE)
@output_folder_option
@click.option(
    "--dtype",
    type=click.Choice(list(DTYPES)),
    default="float32",
    show_default=True,
    help="Type of the table.",
)
@click.option("--dim", type=click.IntRange(min=1), metavar="N", help="Keep only the first N dimensions.")
@click.option(
    "--vocabulary-size",
    type=click.IntRange(min=1),
    metavar="K",
    help="Let all tokens share K vectors, found by k-means.",
)
@click.option(
    "--max-length",
    metavar="N|none",
    callback=_parse_max_length,
    help="Tokens kept of a text. [default: the model's]",
)
@click.option(
    "--normalize/--no-normalize",
    default=None,
    help="Whether embeddings have unit length. [default: the model's setting]",
)
@hub_options
@semantics_option
@click.option("--single-file", is_flag=True, help="Put the table inside model.onnx.")
@overwrite_option
@click.option(
    "--variants",
    type=Names(DTYPES),
    default="",
    help="Further table types in the same folder, for other runtimes.",
)
@click.option(
    "--token-type-ids",
    is_flag=True,
    help="Let the graphs accept the input token_type_ids, for consumers that always feed it.",
)
@click.option(
    "--text-input",
    is_flag=False,
    flag_value=fmt.STRINGS,
    multiple=True,
    type=Names(fmt.TEXT_GRAPHS, remedy=_ALONE),
    callback=_join,
    help="Write a graph that takes texts, with the tokenizer in it: onnx/model_text.onnx, or with "
    "codepoints, onnx/model_codepoints.onnx. Without a value, put it after SOURCE.  [default if given "
    "alone: strings]",
)
@quiet_option
def export(source: str, output: Path, **options: Any) -> None:
    """Export the Model2Vec model SOURCE (folder or Hub id) to an artifact."""
    try:
        from portvec_export import _export, _options
    except ImportError as error:
        raise MissingExtraError(f"export needs the package {error.name}; {install('export')}") from error
    # model2vec logs each option that differs from the model's own, which is what the user asked for.
    logging.getLogger("model2vec").setLevel(logging.ERROR)
    artifact = _export.export_artifact(source, output, _options.ExportOptions(**options))
    inform(summarize(artifact))
