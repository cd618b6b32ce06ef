"""Options that several commands have, and how their results are printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
input_option = click.option(
    "-i", "--input", "path", type=click.Path(path_type=Path), help="File of texts: .jsonl, .csv, or lines."
)
field_option = click.option(
    "--field", help='Field of a .jsonl file, or column of a .csv file, that holds the text. [default: "text"]'
)
output_folder_option = click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to create."
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace the output if it is an artifact.")
revision_option = click.option("--revision", help="Branch, tag or commit on the Hub.")
token_option = click.option("--token", help="Hub access token. [default: the one huggingface_hub finds]")


def emit(as_json: bool, value: Any, text: str) -> None:
    """Print a result to stdout: `value` as JSON, or `text`."""
    click.echo(json.dumps(value, ensure_ascii=False) if as_json else text)


def inform(text: str) -> None:
    """Print a message to stderr."""
    click.echo(text, err=True)
