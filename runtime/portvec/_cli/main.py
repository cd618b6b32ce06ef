"""The command `portvec`: data on stdout, messages on stderr, exit code 0, 1 (failed) or 2 (usage)."""

from __future__ import annotations

import logging
import os
import re
import sys
from contextlib import suppress

import click

import portvec
from portvec._cli.bench.command import bench
from portvec._cli.embed import embed
from portvec._cli.export import export
from portvec._cli.info import info
from portvec._cli.models import models
from portvec._cli.output import MessageHandler, cannot_print, print_error
from portvec._cli.pull import pull
from portvec._cli.push import push
from portvec._cli.search import search
from portvec._cli.signals import Stopped
from portvec._cli.verify import verify
from portvec.errors import PortvecError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(portvec.__version__, prog_name="portvec", message="%(prog)s %(version)s")
def cli() -> None:
    """Run Model2Vec embeddings anywhere.

    MODEL is an artifact folder, a Model2Vec folder, or a Hub id owner/name[@revision] of either. A Model2Vec
    model is converted once, into a cache.
    """


for command in (export, embed, search, verify, info, models, bench, push, pull):
    command.short_help = (command.help or "").split("\n\n")[0]  # click's own is cut where the line ends
    cli.add_command(command)


def run(arguments: list[str]) -> int:
    """Run the command line with these arguments and return the exit code."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # texts may be in any script, whatever the locale is
                stream.reconfigure(encoding="utf-8", errors="backslashreplace")
        logging.lastResort = MessageHandler(logging.WARNING)
        _quiet_hub()
        cli.main(arguments, prog_name="portvec", standalone_mode=False)
        _flush_stdout()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.exceptions.NoArgsIsHelpError as usage:
        click.echo(usage.format_message())
        return 2
    except click.UsageError as usage:
        command = usage.ctx.command_path if usage.ctx else "portvec"
        return _fail(f"{usage.format_message().rstrip('.')}; see '{command} --help'", usage.exit_code)
    except click.ClickException as error:
        return _fail(error.format_message().rstrip("."), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", 130)
    except Stopped as stop:
        with suppress(OSError):  # the terminal may be gone
            _fail(str(stop), stop.code)
        return stop.code
    except BrokenPipeError:  # The reader of stdout closed it. click does the same while a command runs.
        _discard_stdout()
        return 1
    except (PortvecError, OSError) as error:
        return _fail(str(error), 1)
    return 0


def name_flags(message: str) -> str:
    """Return an error message of the library with flags in place of Python arguments.

    `overwrite=True` becomes `--overwrite`, `token=...` becomes `--token`, and `field='a'` becomes `--field
    'a'`.
    """
    flags = {
        parameter.name: max(parameter.opts, key=len)
        for command in cli.commands.values()
        for parameter in command.params
        if isinstance(parameter, click.Option)
    }

    # An engine has the names of its own module.
    flags |= {"column": flags["field"], "name": flags["vector_field"]}
    message = message.replace("fixed_size=False", "--vectors-as list")

    def replace(match: re.Match[str]) -> str:
        name, value = match.groups()
        if name not in flags:
            return match[0]
        return flags[name] if value in ("True", "...") else f"{flags[name]} {value}"

    return re.sub(r"\b([a-z_]+)=(True|\.\.\.|'[^']*'|\w+)", replace, message)


def _fail(message: str, code: int) -> int:
    print_error("portvec: error: " + " ".join(name_flags(message).split()))
    return code


def _flush_stdout() -> None:
    """Write what is still in the buffer, while an error can be told."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _discard_stdout()  # or Python tries again when it exits
        raise cannot_print(error) from error


def _discard_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _quiet_hub() -> None:
    """Keep huggingface_hub from writing between our messages. It reads these variables when imported."""
    # It logs every retry. The error that it raises at the end says the same.
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    if sys.stderr is None or not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
