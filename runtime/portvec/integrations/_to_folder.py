"""Parquet files in, a folder of Parquet files with embeddings out, whichever engine runs the workers."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

from portvec._bulk.journal import (
    REPLACED,
    RUN_PREFIX,
    SKIPPED,
    Entry,
    Journal,
    flush,
    open_journal,
    sync_folder,
)
from portvec._bulk.running import (
    Counts,
    Plan,
    Progress,
    check_input,
    describe_settings,
    list_versions,
    publish_skipped,
)
from portvec._bulk.sources import Source
from portvec._bulk.to_file import naming
from portvec.errors import FileError
from portvec.integrations._common import LazyEmbedder
from portvec.integrations._shares import (
    DATA,
    NOTES,
    Share,
    ShareCounts,
    ShareEmbedder,
    cut_shares,
    read_counts,
)

# Has workers embed shares, and yields the counts of each when it is embedded, in any order.
RunShares = Callable[[ShareEmbedder, list[Share]], Generator[ShareCounts, None, None]]


def embed_folder(
    model: LazyEmbedder,
    source: Source,
    output: str | os.PathLike[str],
    plan: Plan,
    run: RunShares,
    progress: Progress = lambda rows: None,
) -> Counts:
    """Embed Parquet files into a folder, which appears when it is complete.

    Its files, in the order of their names, have the rows in the order of the source. If the process dies, the
    same call embeds what is missing, and the files are byte for byte those of a run without interruption.

    Args:
        model: the model, which is sent to the workers.
        source: Parquet files.
        output: the folder to create.
        plan: how to write embeddings.
        run: has workers embed shares of the files.
        progress: called with the number of rows that an earlier run has embedded, and then with a number of
            further ones.

    Raises:
        FileError: the output exists, cannot be written, or was begun from another source, by another model or
            with other settings; or the source cannot be read.
        PortvecError: what a worker raised.
    """
    if plan.embedding in source.schema().names:
        raise FileError(
            f"{source.name}: has a column {plan.embedding!r} already; give another vector_field=... to the "
            "embeddings"
        )
    settings = {**describe_settings(model.embedder, source, plan), "kind_of_output": "folder"}
    with naming(Path(output), "; the same command goes on from here"):
        target = _locate(output)
        target.parent.mkdir(parents=True, exist_ok=True)
        with open_journal(target, settings, overwrite=plan.overwrite) as journal:
            folder = _find_run(journal)
            resumed = journal.last.rows
            if not journal.is_finished:
                _check_free(target, output, source, plan)
                _prepare(folder)
                work = ShareEmbedder(
                    model, model.embedder.manifest_sha256, list_versions(), source.text, plan, str(folder)
                )
                resumed = _embed(journal, source, work, run, progress)
                check_input(source, settings)
                journal.finish()
            elif not (folder / DATA).exists() and not target.exists():
                raise FileError(
                    f"{output}: was complete, and is gone; remove {journal.folder} to embed the rows again"
                )
            if (folder / DATA).exists():  # not if a crash came after this
                _check_complete(folder, journal)
                _check_free(target, output, source, plan)  # something may have taken the place meanwhile
            publish_skipped(journal, target)
            _publish(folder / DATA, target, journal.folder / REPLACED)
            journal.remove()
    return Counts(journal.last.rows, journal.last.skipped, resumed)


def _locate(output: str | os.PathLike[str]) -> Path:
    """Return the path of the output as workers see it. Only a link in its own place is followed."""
    # Path.resolve would follow links above it, which other machines may not have.
    path = Path(os.path.abspath(output))  # noqa: PTH100
    return path.resolve() if path.is_symlink() else path


def _find_run(journal: Journal) -> Path:
    """Return the folder of the run that a journal is about.

    Each run has another name for it, so that workers which outlive a run cannot write into the next one.
    """
    found = list(journal.folder.glob(f"{RUN_PREFIX}*"))
    return found[0] if found else journal.folder / f"{RUN_PREFIX}{uuid.uuid4().hex}"


def _prepare(folder: Path) -> None:
    """Make the folder of a run, or remove what workers that were killed have left in it."""
    for room in (DATA, NOTES):
        (folder / room).mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.tmp"):
        path.unlink(missing_ok=True)


def _embed(journal: Journal, source: Source, work: ShareEmbedder, run: RunShares, progress: Progress) -> int:
    """Have the shares embedded that are missing, and return the rows of those that were there.

    Raises:
        FileError: shares are missing afterwards, or not all rows are there.
    """
    folder = Path(work.folder)
    shares = cut_shares([path.absolute() for path in source.files])
    before = read_counts(folder, shares)
    resumed = sum(counts.rows for counts in before.values())
    progress(resumed)
    missing = [share for share in shares if share not in before]
    try:
        if missing:
            with closing(run(work, missing)) as found:
                for counts in found:
                    progress(counts.rows)
    finally:
        done = read_counts(folder, shares)
        journal.is_begun = bool(done)
    rows = sum(counts.rows for counts in done.values())
    skipped = sum(counts.skipped for counts in done.values())
    if len(done) < len(shares) or rows + skipped != source.rows:
        raise FileError(
            f"{source.name}: {rows + skipped:,} of {source.rows:,} rows are embedded, and the workers have "
            "ended; repeat the command to go on"
        )
    with (journal.folder / SKIPPED).open("wb") as report:
        for share in shares:
            report.write((folder / NOTES / share.skipped).read_bytes())
        flush(report)
    journal.append(Entry(rows, skipped, {share.file: counts.size for share, counts in done.items()}, None))
    return resumed


def _check_complete(folder: Path, journal: Journal) -> None:
    """Check that the files are those that the journal lists, and no others.

    Raises:
        FileError: they are not.
    """
    sizes = {path.name: path.stat().st_size for path in (folder / DATA).iterdir()}
    if sizes != journal.last.sizes:
        raise FileError(
            f"{folder / DATA}: its files are not those that were written; remove {journal.folder} to embed "
            "the rows again"
        )


def _publish(data: Path, target: Path, replaced: Path) -> None:
    """Move a complete folder to its place."""
    if data.exists():
        if target.exists():
            shutil.rmtree(replaced, ignore_errors=True)
            target.rename(replaced)
        data.rename(target)
    sync_folder(target.parent)


def _check_free(target: Path, output: str | os.PathLike[str], source: Source, plan: Plan) -> None:
    """Check that a folder is missing or empty, or that it may be replaced.

    Raises:
        FileError: it is not.
    """
    if not target.exists():
        return
    if not target.is_dir():
        raise FileError(f"{output}: is a file, expected a folder to create; choose another output")
    here = target.resolve()
    if Path.cwd().is_relative_to(here) or os.path.ismount(target):
        raise FileError(
            f"{output}: is the current folder, holds it or is a mount point, and cannot be replaced; choose "
            "a folder in it"
        )
    paths = sorted(target.iterdir())
    if paths and not plan.overwrite:
        raise FileError(f"{output}: exists and is not empty; choose another output, or pass overwrite=True")
    inside = [path for path in source.files if path.resolve().is_relative_to(here)]
    if inside:
        raise FileError(f"{output}: holds the input {inside[0]}, and is replaced; choose another output")
    # Spark writes the other two.
    ours = (".parquet", ".crc", "_SUCCESS")
    others = [path for path in paths if path.is_dir() or not path.name.endswith(ours)]
    if others:
        raise FileError(
            f"{output}: holds {others[0].name}, which is not Parquet, and overwrite=True does not delete it; "
            "choose another output"
        )
