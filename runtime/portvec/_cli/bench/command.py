"""The command `portvec bench`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from portvec._cli.bench.contenders import PEERS
from portvec._cli.options import (
    SOURCE,
    Names,
    field_option,
    format_option,
    hub_options,
    input_option,
    json_option,
    quiet_option,
    run_options,
)
from portvec._cli.output import emit, is_quiet


@click.command()
@click.argument("model", type=SOURCE)
@input_option
@format_option
@field_option
@run_options
@hub_options
@click.option("--compare", "peers", type=Names(PEERS), default="", help="Peers to run as well.")
@click.option(
    "--seconds",
    default=8.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Time for each measurement of each implementation.",
)
@json_option
@quiet_option
def bench(
    model: str,
    path: Path | None,
    format: str | None,
    field: str | None,
    peers: list[str],
    seconds: float,
    as_json: bool,
    **options: Any,
) -> None:
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
    shows = sys.stderr is not None and sys.stderr.isatty() and not is_quiet()
    document = measure(
        model,
        make_text_sets(path, field, format),
        options=options,
        peers=peers,
        seconds=seconds,
        progress=_show if shows else lambda _: None,
    )
    if shows:
        _show("")
    emit(as_json, document, *format_lines(document))


def _show(what: str) -> None:
    """Overwrite the line that says what is being measured."""
    click.echo(f"\r{what:<70}\r", nl=False, err=True)
