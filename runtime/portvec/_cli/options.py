"""Arguments and options that several commands have. An option has the name of the Python argument."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from portvec._bulk.sources.finding import FORMATS
from portvec._cli.output import set_quiet
from portvec._options import SEMANTICS
from portvec._tokenization.backends import ACCELERATORS
from portvec._tokenization.selection import AUTO, COMPILED, GRAPH, LIBRARY

Function = TypeVar("Function", bound=Callable[..., Any])


class _Text(click.ParamType):  # type: ignore[type-arg]  # click 8.2 has no argument
    """A text to embed."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text. Bytes that the locale does not decode arrive as surrogates; they may be UTF-8."""
        text = str(value)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            data = os.fsencode(text)
            try:
                return data.decode("utf-8")
            except UnicodeDecodeError as error:
                before = len(data[: error.start].decode("utf-8"))
                self.fail(
                    f"{text!r} is not UTF-8 (byte 0x{data[error.start]:02X} at character {before + 1}); "
                    "pass it in a file with -i",
                    param,
                    ctx,
                )
        return text


class _Source(click.ParamType):  # type: ignore[type-arg]
    """A folder or a Hub id."""

    name = "source"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Let the shell complete names of folders."""
        return [CompletionItem(incomplete, type="dir")]


class Names(click.ParamType):  # type: ignore[type-arg]
    """Some of a few names, with commas between them."""

    name = "names"

    def __init__(self, known: Collection[str], *, remedy: str = "") -> None:
        """Take the names, and what to say, besides them, to who gives another value."""
        self._known = known
        self._remedy = remedy

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return the names in the notation of the help."""
        return f"[{'|'.join(self._known)}],..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Return the names, each once."""
        names = list(dict.fromkeys(filter(None, map(str.strip, value.split(",")))))
        for name in names:
            if name not in self._known:
                known = ", ".join(map(repr, self._known))
                self.fail(
                    "; ".join(filter(None, [f"{name!r} is not one of {known}", self._remedy])), param, ctx
                )
        return names

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Let the shell complete the last name."""
        before, comma, last = incomplete.rpartition(",")
        return [CompletionItem(before + comma + name) for name in self._known if name.startswith(last)]


TEXT = _Text()
SOURCE = _Source()

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
input_option = click.option(
    "-i",
    "--input",
    "path",
    type=click.Path(path_type=Path, readable=False),  # reading it says more
    help="File, folder or glob pattern of texts: .txt (lines), .jsonl, .csv, .tsv, each also with .gz or "
    ".zst, .parquet or .arrow.",
)
format_option = click.option(
    "--format",
    type=click.Choice(FORMATS),
    help="Format of the texts. [default: what the suffix says; txt for standard input]",
)
field_option = click.option("--field", help='Field or column that holds the text. [default: "text"]')
output_folder_option = click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to create."
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace the output if it is an artifact.")
token_option = click.option("--token", help="Hub access token. [default: the one huggingface_hub finds]")
milvus_token_option = click.option(
    "--milvus-token",
    envvar="MILVUS_TOKEN",
    help="Token or user:password of a Milvus server. [default: $MILVUS_TOKEN, or what the URI holds]",
)
semantics_option = click.option(
    "--semantics",
    type=click.Choice(SEMANTICS),
    help="How to read a model that can be read in several ways: as model2vec does, with the head of a "
    "projector, or as sentence-transformers does. [default: refuse it]",
)
quiet_option = click.option(
    "-q",
    "--quiet",
    is_flag=True,
    expose_value=False,
    callback=set_quiet,
    help="Print no progress and no messages, except errors.",
)


def hub_options(command: Function) -> Function:
    """Declare where on the Hub, or in a folder, a model is."""
    for option in (
        token_option,
        click.option("--subfolder", help="Folder inside the repository or local folder."),
        click.option("--revision", help="Branch, tag or commit on the Hub."),
    ):
        command = option(command)
    return command


def run_options(command: Function) -> Function:
    """Declare how a model is read and run."""
    for option in (
        semantics_option,
        click.option(
            "--tokenizer",
            type=click.Choice([AUTO, COMPILED, LIBRARY, GRAPH, *ACCELERATORS]),
            default=AUTO,
            show_default=True,
            help="Tokenizer backend.",
        ),
        click.option("--threads", type=click.IntRange(min=1), help="Threads. [default: all available cores]"),
    ):
        command = option(command)
    return command
