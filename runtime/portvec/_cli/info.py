"""The command `portvec info`."""

from __future__ import annotations

from typing import Any

import click

from portvec._cli.describe import describe
from portvec._cli.options import SOURCE, hub_options, json_option, quiet_option
from portvec._cli.output import emit_json, emit_lines
from portvec._loading import load_artifact
from portvec._options import ModelOptions


@click.command()
@click.argument("model", type=SOURCE)
@json_option
@hub_options
@quiet_option
def info(model: str, as_json: bool, **options: Any) -> None:
    """Print what an artifact holds and where it came from.

    For a Model2Vec model, this is what it was converted to when it was first used.
    """
    artifact = load_artifact(model, ModelOptions(**options), convert=False)
    if as_json:
        emit_json(artifact.manifest.to_json())
    else:
        emit_lines(f"{name:<14} {value}" for name, value in describe(artifact).items())
