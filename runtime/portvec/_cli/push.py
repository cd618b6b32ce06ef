"""The command `portvec push`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from portvec._cli.options import SOURCE, json_option, quiet_option, token_option
from portvec._cli.output import emit, format_amount
from portvec._hub.ids import parse_hub_id
from portvec._hub.push import push_artifact


@click.command()
@click.argument("folder", type=SOURCE)
@click.argument("repository", metavar="OWNER/NAME")
@click.option("--private", is_flag=True, help="Create a private repository; refuse one that is public.")
@click.option("--revision", metavar="BRANCH", help="Branch to commit to; created if it does not exist.")
@token_option
@click.option("--message", help="Commit message.")
@json_option
@quiet_option
def push(folder: str, repository: str, revision: str | None, as_json: bool, **options: Any) -> None:
    """Verify the artifact FOLDER and publish it on the Hub, with its model card."""
    pushed = push_artifact(folder, parse_hub_id(repository, revision), **options)
    emit(
        as_json,
        asdict(pushed),
        f"{pushed.url}: {format_amount(pushed.files, pushed.bytes)}, commit {pushed.commit}",
    )
