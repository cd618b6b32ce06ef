"""The command `portvec info`."""

from __future__ import annotations

from pathlib import Path

import click

from portvec._artifact.folder import open_artifact
from portvec._cli.describe import describe
from portvec._cli.options import json_option


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def info(folder: Path, as_json: bool) -> None:
    """Print what an artifact holds and where it came from."""
    artifact = open_artifact(folder)
    if as_json:
        click.echo(artifact.manifest.to_json(), nl=False)
        return
    for name, value in describe(artifact).items():
        click.echo(f"{name:<14} {value}")
