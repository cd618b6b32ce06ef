"""The command `portvec verify`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from portvec._cli.options import json_option
from portvec._cli.output import emit
from portvec._inference.verify import verify as verify_folder


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def verify(folder: Path, as_json: bool) -> None:
    """Hash an artifact's files and run its recorded texts on this device."""
    result = verify_folder(folder)
    emit(
        as_json,
        asdict(result),
        f"{folder}: ok, {result.texts} recorded texts: token ids identical, "
        f"vectors within {result.largest_difference:.1e}",
    )
