"""The commands `portvec push` and `portvec pull`."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from portvec._hub import pull as _pull
from portvec._hub import push as _push
from portvec._hub.ids import parse_hub_id

_token_option = click.option("--token", help="Hub access token. [default: the one huggingface_hub finds]")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("repository", metavar="OWNER/NAME")
@click.option("--private", is_flag=True, help="Make the repository private.")
@click.option("--revision", metavar="BRANCH", help="Branch to commit to; made if it does not exist.")
@_token_option
@click.option("--message", help="Commit message.")
@_json_option
def push(folder: Path, repository: str, revision: str | None, as_json: bool, **options: Any) -> None:
    """Verify the artifact FOLDER and publish it on the Hub, with its model card."""
    pushed = _push.push(folder, parse_hub_id(repository, revision), **options)
    if as_json:
        click.echo(json.dumps(asdict(pushed)))
    else:
        click.echo(f"{pushed.url}: {_amount(pushed.files, pushed.bytes)}, commit {pushed.commit}")


@click.command()
@click.argument("repository", metavar="OWNER/NAME[@REVISION]")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to make.")
@click.option("--revision", help="Branch, tag or commit on the Hub.")
@click.option("--subfolder", help="Folder inside the repository.")
@_token_option
@click.option("--overwrite", is_flag=True, help="Replace the output if it is an artifact.")
@_json_option
def pull(repository: str, output: Path, revision: str | None, as_json: bool, **options: Any) -> None:
    """Fetch an artifact from the Hub into a folder, and check its hashes.

    Run 'portvec verify' on the device that will use it.
    """
    pulled = _pull.pull(parse_hub_id(repository, revision), output, **options)
    if as_json:
        click.echo(json.dumps(asdict(pulled)))
    else:
        click.echo(f"{pulled.folder}: {_amount(pulled.files, pulled.bytes)}, commit {pulled.commit}")


def quiet_hub() -> None:
    """Keep huggingface_hub, which reads these when it is imported, from writing beside our messages."""
    # What it logs about retries, its final error says again.
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    if sys.stderr is None or not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def _amount(files: int, size: int) -> str:
    return f"{files} files, {size / 1e6:.1f} MB"
