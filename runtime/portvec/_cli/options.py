"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path

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
subfolder_option = click.option("--subfolder", help="Folder inside the repository or local folder.")
token_option = click.option("--token", help="Hub access token. [default: the one huggingface_hub finds]")
semantics_option = click.option(
    "--semantics",
    type=click.Choice(["model2vec"]),
    help="Read a model as model2vec does where other libraries read it differently. [default: refuse it]",
)


def parse_names(_ctx: click.Context, _param: click.Parameter, value: str | None) -> list[str]:
    """Return the names in a list with commas, each once. It is a callback of click."""
    return list(dict.fromkeys(name.strip() for name in (value or "").split(",") if name.strip()))
