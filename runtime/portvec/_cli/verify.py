"""The command `portvec verify`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from portvec._cli.options import SOURCE, hub_options, json_option, quiet_option
from portvec._cli.output import emit
from portvec._inference.verify import verify_artifact
from portvec._loading import load_artifact
from portvec._options import ModelOptions


@click.command()
@click.argument("model", type=SOURCE)
@json_option
@hub_options
@quiet_option
def verify(model: str, as_json: bool, **options: Any) -> None:
    """Hash an artifact's files and run its recorded texts on this device.

    An artifact on the Hub is fetched into the cache first.
    """
    result = verify_artifact(load_artifact(model, ModelOptions(**options), convert=False))
    emit(
        as_json,
        asdict(result),
        f"{model}: ok, {result.texts} recorded texts: token ids identical, "
        f"vectors within {result.largest_difference:.1e}",
    )
