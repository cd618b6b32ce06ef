"""The command `portvec pull`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from portvec._cli.options import (
    hub_options,
    json_option,
    output_folder_option,
    overwrite_option,
    quiet_option,
)
from portvec._cli.output import emit, format_amount
from portvec._hub.ids import parse_hub_id
from portvec._hub.pull import pull_artifact


@click.command()
@click.argument("repository", metavar="OWNER/NAME[@REVISION]")
@output_folder_option
@hub_options
@overwrite_option
@json_option
@quiet_option
def pull(
    repository: str,
    output: Path,
    revision: str | None,
    subfolder: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Fetch an artifact from the Hub into a folder, and check its hashes.

    Run 'portvec verify' on the device that will use it.
    """
    pulled = pull_artifact(parse_hub_id(repository, revision, subfolder), output, **options)
    emit(
        as_json,
        asdict(pulled),
        f"{pulled.folder}: {format_amount(pulled.files, pulled.bytes)}, commit {pulled.commit}",
    )
