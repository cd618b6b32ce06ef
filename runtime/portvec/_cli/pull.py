"""The command `portvec pull`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from portvec._cli.options import (
    emit,
    json_option,
    output_folder_option,
    overwrite_option,
    revision_option,
    token_option,
)
from portvec._hub.ids import parse_hub_id
from portvec._hub.pull import pull as pull_repository


@click.command()
@click.argument("repository", metavar="OWNER/NAME[@REVISION]")
@output_folder_option
@revision_option
@click.option("--subfolder", help="Folder inside the repository.")
@token_option
@overwrite_option
@json_option
def pull(repository: str, output: Path, revision: str | None, as_json: bool, **options: Any) -> None:
    """Fetch an artifact from the Hub into a folder, and check its hashes.

    Run 'portvec verify' on the device that will use it.
    """
    pulled = pull_repository(parse_hub_id(repository, revision), output, **options)
    amount = f"{pulled.files} files, {pulled.bytes / 1e6:.1f} MB"
    emit(as_json, asdict(pulled), f"{pulled.folder}: {amount}, commit {pulled.commit}")
