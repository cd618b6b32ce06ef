"""A source in, a file of embeddings out."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import UnsupportedOperation
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from portvec._artifact.staging import copy_permissions, staged_file
from portvec._bulk.journal import DATA, Journal, flush, open_journal, sync_folder
from portvec._bulk.outputs.opening import check_suffix, find_writer
from portvec._bulk.outputs.writer import OpenWriter
from portvec._bulk.parts import Part
from portvec._bulk.provenance import Provenance
from portvec._bulk.running import (
    Counts,
    Plan,
    Progress,
    check_input,
    describe_settings,
    describe_skipped,
    embed_each,
    embed_journaled,
    open_at,
    publish_skipped,
    read_parts,
    skipped_beside,
)
from portvec._bulk.sources.source import BadRow, Source
from portvec._embedder import StaticEmbedder
from portvec.errors import FileError

if TYPE_CHECKING:
    import numpy.typing as npt


def can_resume(source: Source, output: Path) -> bool:
    """Return whether input and output are files, which are there when a command is repeated."""
    try:
        return (
            (output.is_file() or not output.exists())
            and bool(source.files)
            and all(map(Path.is_file, source.files))
        )
    except OSError:  # what writes the output says what is wrong
        return False


def embed_file(
    embedder: StaticEmbedder,
    source: Source,
    output: Path,
    plan: Plan,
    progress: Progress = lambda rows: None,
) -> Counts:
    """Embed the rows of a source into a file, in parts. A part counts as done when it is on the disk.

    If the process dies at any moment, the same call goes on after the last part. The output is byte for byte
    that of a run without interruption. It appears when it is complete; until then, a folder beside it holds
    what is there.

    Args:
        embedder: the model.
        source: the rows.
        output: .npy, .jsonl, .parquet or .arrow.
        plan: how to write them.
        progress: called with the number of rows that an earlier run has written, and then with a number of
            further ones.

    Raises:
        FileError: the output exists, cannot be written, or was begun from another source, by another model or
            with other settings; or the source cannot be read.
        MissingExtraError: a format needs the extra `bulk`, which is not installed.
    """
    check_suffix(output)
    with naming(output, "; the same command goes on from here"):
        target = output.resolve()
        settings = describe_settings(embedder, source, plan)
        with open_journal(target, settings, overwrite=plan.overwrite) as journal:
            resumed = journal.last.rows
            if not journal.is_finished:
                _check_free(output, plan)
                open_writer = _find_writer(embedder, source, output, plan)
                _write(embedder, source, plan, journal, open_writer, progress)
                check_input(source, settings)
                journal.finish()
            elif not (journal.folder / DATA).exists() and not target.exists():
                raise FileError(
                    f"{output}: was complete, and is gone; remove {journal.folder} to embed the rows again"
                )
            _publish(journal, target, output, plan)
            journal.remove()
    return Counts(journal.last.rows, journal.last.skipped, resumed)


def embed_once(
    embedder: StaticEmbedder,
    source: Source,
    output: Path,
    plan: Plan,
    progress: Progress = lambda rows: None,
) -> Counts:
    """Embed the rows of a source into a file, without going on after an interruption.

    That is for a source that can be read only once, such as a stream, and for an output that is a pipe or a
    device and gets its rows as they come. Any other output appears when it is complete.

    Args:
        embedder: the model.
        source: the rows.
        output: .npy, .jsonl, .parquet or .arrow; a pipe must be .jsonl.
        plan: how to write them.
        progress: called with 0, and then with a number of further rows that are written.

    Raises:
        FileError: the output exists, or cannot be written, or the source cannot be read.
        MissingExtraError: a format needs the extra `bulk`, which is not installed.
    """
    suffix = check_suffix(output)
    with naming(output):
        _check_free(output, plan)
        open_writer = _find_writer(embedder, source, output, plan)
        # A pipe can be written only.
        with staged_file(output) as staging, staging.open("wb" if suffix == ".jsonl" else "w+b") as file:
            rows, skipped = write_once(embedder, source, file, open_writer, plan, progress)
        report = skipped_beside(output.resolve())
        if skipped:
            report.write_bytes(b"".join(map(describe_skipped, skipped)))
        elif output.is_file():
            with suppress(OSError):  # its name may be too long for a file
                report.unlink()  # that of the output which is replaced
    return Counts(rows, len(skipped), 0)


def write_once(
    embedder: StaticEmbedder,
    source: Source,
    file: IO[bytes],
    open_writer: OpenWriter,
    plan: Plan,
    progress: Progress = lambda rows: None,
) -> tuple[int, list[BadRow]]:
    """Write the rows of a source with their embeddings to an empty file, in this thread.

    Returns:
        the number of rows, and those that were skipped.

    Raises:
        FileError: the source cannot be read, or a row cannot be embedded and `plan` does not skip it.
    """
    writer = open_writer(file, [])
    rows = 0
    skipped: list[BadRow] = []
    progress(0)
    for part, embeddings in embed_each(embedder, read_parts(embedder, source, plan), plan):
        writer.write(part, embeddings)
        skipped.extend(part.skipped)
        rows += len(part)
        progress(len(part))
    writer.finish()
    return rows, skipped


def _check_free(output: Path, plan: Plan) -> None:
    """Refuse an output that exists, unless it may be replaced. A pipe or device is not replaced."""
    if output.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if output.is_file() and not plan.overwrite:
        raise FileError(f"{output}: exists; choose another output, or pass overwrite=True")


def _find_writer(embedder: StaticEmbedder, source: Source, output: Path, plan: Plan) -> OpenWriter:
    provenance = Provenance.of(embedder, source.text, plan.embedding, plan.prompt_name)
    return find_writer(output, source, embedder.dim, provenance, dtype=plan.dtype, fixed_size=plan.fixed_size)


def _write(
    embedder: StaticEmbedder,
    source: Source,
    plan: Plan,
    journal: Journal,
    open_writer: OpenWriter,
    progress: Progress,
) -> None:
    """Write what a journal lacks of an output into its folder."""
    with open_at(journal.folder / DATA, journal.last.sizes.get(DATA, 0)) as data:
        writer = open_writer(data, [entry.note for entry in journal.entries])

        def write(part: Part, rows: npt.NDArray[np.float32]) -> tuple[dict[str, int], Any]:
            note = writer.write(part, rows)
            return {DATA: flush(data)}, note

        embed_journaled(embedder, source, plan, journal, write, progress)
        writer.finish()
        flush(data)


def _publish(journal: Journal, target: Path, output: Path, plan: Plan) -> None:
    """Move a complete output to its place."""
    data = journal.folder / DATA
    if data.exists():  # not if a crash came after this
        _check_free(output, plan)  # another file may have taken the place meanwhile
    publish_skipped(journal, target)
    if data.exists():
        if target.exists():
            copy_permissions(target.stat(), data)
        data.replace(target)
    sync_folder(target.parent)


@contextmanager
def naming(output: Path, remedy: str = "") -> Iterator[None]:
    """Turn errors of the operating system into one that names `output`."""
    try:
        yield
    except UnsupportedOperation as error:
        raise FileError(
            f"{output}: a pipe or device, which {output.suffix} does not suit, because it is not written "
            "from start to end; choose .jsonl"
        ) from error
    except OSError as error:
        raise FileError(f"{output}: cannot be written ({error.strerror or error}){remedy}") from error
