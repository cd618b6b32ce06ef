"""The command `portvec`: data on stdout, messages on stderr, exit code 0, 1 (failed) or 2 (usage)."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import click
from tqdm import tqdm

import portvec
from portvec._artifact import format as fmt
from portvec._artifact.folder import open_artifact
from portvec._bulk.files import embedding_file, jsonl_writer, lines, read_texts
from portvec._bulk.search import search as nearest
from portvec._cli.bench.command import bench
from portvec._cli.describe import described, summary
from portvec._cli.hub import pull, push, quiet_hub
from portvec._embedder import StaticEmbedder
from portvec._itertools import batched
from portvec.errors import MissingExtraError, PortvecError

_BATCH = 4096  # texts embedded and written at a time

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
_input_option = click.option(
    "-i", "--input", "path", type=click.Path(path_type=Path), help="File of texts: .jsonl, .csv, or lines."
)
_field_option = click.option(
    "--field", help='Field of a .jsonl, or column of a .csv file that holds the text. [default: "text"]'
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(portvec.__version__, prog_name="portvec", message="%(prog)s %(version)s")
def cli() -> None:
    """Run Model2Vec embeddings anywhere.

    MODEL is an artifact folder, a Model2Vec folder, or a Hub id owner/name[@revision]; the last two
    are converted once, into a cache.
    """


def _max_length(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | str | None:
    """Return a number of tokens, None for "none", or "model" where the option was not given."""
    if value is None:
        return "model"
    if value == "none":
        return None
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(f"{value!r} is neither a whole number of 1 or more nor 'none'")
    return int(value)


@cli.command()
@click.argument("source")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to make.")
@click.option(
    "--dtype", default="float32", show_default=True, help="Type of the table: " + ", ".join(fmt.DTYPES)
)
@click.option("--dim", type=click.IntRange(min=1), help="Keep the first N dimensions only.")
@click.option(
    "--vocabulary-size",
    type=click.IntRange(min=1),
    metavar="K",
    help="Let all tokens share K vectors, found by k-means.",
)
@click.option(
    "--max-length",
    metavar="N|none",
    callback=_max_length,
    help="Tokens kept of a text. [default: the model's]",
)
@click.option("--normalize/--no-normalize", default=None, help="Unit length or not. [default: as the model]")
@click.option("--revision", help="Branch, tag or commit on the Hub.")
@click.option("--subfolder", help="Folder inside the repository or local folder.")
@click.option("--token", help="Hub access token. [default: the one huggingface_hub finds]")
@click.option("--single-file", is_flag=True, help="Put the table inside model.onnx.")
@click.option("--overwrite", is_flag=True, help="Replace the output if it is an artifact.")
@click.option(
    "--variants",
    metavar="LIST",
    default="",
    callback=lambda _ctx, _param, value: [name.strip() for name in value.split(",") if name.strip()],
    help="Further types in the same folder for other runtimes, as float16,int8,int4.",
)
@click.option("--token-type-ids", is_flag=True, help="Accept this third input, for consumers that feed it.")
def export(source: str, output: Path, **options: Any) -> None:
    """Export the Model2Vec model SOURCE (folder or Hub id) to an artifact."""
    try:
        from portvec_export import export_model
    except ImportError as error:
        raise MissingExtraError(
            f"export needs the package {error.name}; run pip install 'portvec[export]'"
        ) from error
    # model2vec logs each option that differs from the model's own, which is what was asked for.
    logging.getLogger("model2vec").setLevel(logging.ERROR)
    folder = export_model(source, output, **options)
    _message(summary(folder))


@cli.command()
@click.argument("model")
@click.argument("texts", nargs=-1, metavar="[TEXT ...]")
@_input_option
@_field_option
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write: .npy or .jsonl.")
def embed(
    model: str, texts: tuple[str, ...], path: Path | None, field: str | None, output: Path | None
) -> None:
    """Embed texts: arguments, a file, or lines from standard input.

    Without -o, prints a JSON object a line, with the text and its embedding.
    """
    if texts and path is not None:
        raise click.UsageError("give texts as arguments or with -i, not both")
    embedder = StaticEmbedder.load(model)
    source = texts or _file_texts(path, field)
    if output is None:
        _embed_all(embedder, source, jsonl_writer(sys.stdout))
    else:
        with embedding_file(output, embedder.dim) as write:
            count = _embed_all(embedder, source, write)
        _message(f"{output}: {count:,} embeddings of dimension {embedder.dim}")


@cli.command()
@click.argument("model")
@click.argument("query")
@_input_option
@_field_option
@click.option("-k", default=5, show_default=True, type=click.IntRange(min=1), help="How many to print.")
@_json_option
def search(model: str, query: str, path: Path | None, field: str | None, k: int, as_json: bool) -> None:
    """Print the texts nearest to QUERY, of a file or of standard input."""
    embedder = StaticEmbedder.load(model)
    hits = nearest(embedder, _with_progress(_file_texts(path, field)), query, k)
    if as_json:
        click.echo(json.dumps([hit._asdict() for hit in hits], ensure_ascii=False))
        return
    if not hits:
        raise PortvecError(f"{path or 'standard input'}: holds no text to search")
    width = shutil.get_terminal_size().columns - len(" 0.000  ")
    click.echo(" score  text")
    for hit in hits:
        line = " ".join(hit.text.split())
        click.echo(f"{hit.score:6.3f}  {line if len(line) <= width else line[: width - 1] + '…'}")


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@_json_option
def verify(folder: Path, as_json: bool) -> None:
    """Hash an artifact's files and re-run its recorded vectors on this device."""
    result = portvec.verify(folder)
    if as_json:
        click.echo(json.dumps(asdict(result)))
    else:
        click.echo(
            f"{folder}: ok, {result.texts} recorded texts: token ids identical, "
            f"vectors within {result.largest_difference:.1e}"
        )


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@_json_option
def info(folder: Path, as_json: bool) -> None:
    """Print what an artifact holds and where it came from."""
    artifact = open_artifact(folder)
    manifest = artifact.manifest
    if as_json:
        click.echo(manifest.to_json(), nl=False)
        return
    for name, value in described(artifact).items():
        if value:
            click.echo(f"{name:<14} {value}")


for command in (bench, push, pull):
    cli.add_command(command)


def main() -> NoReturn:
    """Run the command line; exits with 0, 1 or 2, and one line on stderr if it fails."""
    sys.exit(_run())


def _run() -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # texts are in any script, whatever the locale
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    quiet_hub()
    try:
        cli.main(prog_name="portvec", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.exceptions.NoArgsIsHelpError as usage:
        click.echo(usage.format_message())
        return 2
    except click.ClickException as usage:
        hint = "; see 'portvec --help'" if isinstance(usage, click.UsageError) else ""
        return _fail(usage.format_message().rstrip(".") + hint, usage.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", 130)
    except BrokenPipeError:  # the reader of stdout has seen enough; click does the same while it runs
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (PortvecError, OSError) as error:
        return _fail(str(error), 1)
    return 0


def _fail(message: str, code: int) -> int:
    _message("portvec: error: " + " ".join(message.split()))
    return code


def _message(text: str) -> None:
    click.echo(text, err=True)


def _file_texts(path: Path | None, field: str | None) -> Iterator[str]:
    if path is not None and str(path) != "-":
        return read_texts(path, field)
    if sys.stdin is None or sys.stdin.isatty():
        raise click.UsageError("no text given; pass a file with -i, or pipe lines into standard input")
    return lines(sys.stdin)


def _with_progress(texts: Iterable[str]) -> Iterable[str]:
    """Show progress on a terminal once it takes more than a moment."""
    progress: Iterable[str] = tqdm(texts, unit=" texts", disable=None, leave=False, delay=1.0)
    return progress


def _embed_all(embedder: StaticEmbedder, texts: Iterable[str], write: Any) -> int:
    count = 0
    for batch in batched(_with_progress(texts), _BATCH):
        write(batch, embedder.encode(batch))
        count += len(batch)
    return count
