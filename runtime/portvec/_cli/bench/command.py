"""The command `portvec bench`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from portvec._cli.bench.contenders import PEERS
from portvec._cli.options import field_option, input_option, json_option, parse_names
from portvec._cli.output import emit


def _parse_peers(context: click.Context, parameter: click.Parameter, value: str | None) -> list[str]:
    names = parse_names(context, parameter, value)
    for name in names:
        if name not in PEERS:
            raise click.BadParameter(f"{name!r} is unknown, expected some of {','.join(PEERS)}")
    return names


@click.command()
@click.argument("model")
@input_option
@field_option
@click.option("--threads", type=click.IntRange(min=1), help="Threads. [default: all available cores]")
@click.option("--tokenizer", default="auto", show_default=True, help="Tokenizer backend.")
@click.option(
    "--compare", "peers", callback=_parse_peers, metavar=",".join(PEERS), help="Peers to run as well."
)
@click.option(
    "--seconds",
    default=8.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Time for each measurement of each implementation.",
)
@json_option
def bench(path: Path | None, field: str | None, as_json: bool, peers: list[str], **options: Any) -> None:
    """Measure speed and memory of MODEL on this device, in about a minute.

    Without -i, the texts are English from Python's own documentation: short (10 words), medium (30) and long
    (300). Peers need the Model2Vec folder that an artifact was made from, as MODEL or in the current folder.
    """
    from portvec._cli.bench.measure import measure
    from portvec._cli.bench.report import format_lines
    from portvec._cli.bench.sources import check_installed
    from portvec._cli.bench.texts import make_text_sets

    for peer in peers:
        check_installed(peer)
    document = measure(
        sets=make_text_sets(path, field),
        peers=peers,
        progress=_show if sys.stderr.isatty() else lambda _: None,
        **options,
    )
    if sys.stderr.isatty():
        _show("")
    emit(as_json, document, "\n".join(format_lines(document)))


def _show(what: str) -> None:
    """Overwrite the line that says what is being measured."""
    click.echo(f"\r{what:<70}\r", nl=False, err=True)
