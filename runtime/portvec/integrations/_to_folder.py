"""Parquet files in, a folder of Parquet files with embeddings out, whichever engine runs the workers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Final

from portvec._bulk.journal import Entry, Journal, flush, open_journal, sync_folder
from portvec._bulk.running import (
    SKIPPED,
    Counts,
    Plan,
    Progress,
    check_input,
    describe_settings,
    publish_skipped,
)
from portvec._bulk.sources import Source
from portvec._bulk.to_file import naming
from portvec.errors import FileError
from portvec.integrations._common import LazyEmbedder
from portvec.integrations._shares import Share, ShareCounts, ShareEmbedder, cut_shares, read_counts

# Has workers embed shares, and yields the counts of each when it is embedded, in any order.
RunShares = Callable[[ShareEmbedder, list[Share]], Generator[ShareCounts, None, None]]

_DATA: Final = "data"
_REPLACED: Final = "replaced"


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
    settings = {**describe_settings(model.embedder, source, plan), "output": "folder"}
    with naming(Path(output), "; the same command goes on from here"):
        target = Path(output).resolve()
        _check_free(target, output, plan)
        target.parent.mkdir(parents=True, exist_ok=True)
        with open_journal(target, settings, overwrite=plan.overwrite) as journal:
            data = journal.folder / _DATA
            resumed = journal.last.rows
            if not journal.is_finished:
                data.mkdir(exist_ok=True)
                work = ShareEmbedder(model, model.embedder.manifest_sha256, source.text, plan, str(data))
                resumed = _embed(journal, source, work, run, progress)
                check_input(source, settings)
                journal.finish()
            elif not data.exists() and not target.exists():
                raise FileError(
                    f"{output}: was complete, and is gone; remove {journal.folder} to embed the rows again"
                )
            _publish(journal, target, output, plan)
            journal.remove()
    return Counts(journal.last.rows, journal.last.skipped, resumed)


def _embed(journal: Journal, source: Source, work: ShareEmbedder, run: RunShares, progress: Progress) -> int:
    """Have the shares embedded that are missing, and return the rows of those that were there.

    Raises:
        FileError: shares are missing afterwards, or not all rows are there.
    """
    data = Path(work.folder)
    shares = cut_shares([path.resolve() for path in source.files])
    before = read_counts(data, shares)
    resumed = sum(counts.rows for counts in before.values())
    progress(resumed)
    missing = [share for share in shares if share.number not in before]
    try:
        if missing:
            with closing(run(work, missing)) as found:
                for counts in found:
                    progress(counts.rows)
    finally:
        done = read_counts(data, shares)
        journal.is_begun = bool(done)
    rows, skipped = (sum(counts) for counts in zip(*done.values(), strict=True)) if done else (0, 0)
    if len(done) < len(shares) or rows + skipped != source.rows:
        raise FileError(
            f"{source.name}: {rows + skipped:,} of {source.rows:,} rows are embedded, and the workers have "
            "ended; repeat the command to go on"
        )
    with (journal.folder / SKIPPED).open("wb") as report:
        for share in shares:
            report.write((data / share.skipped).read_bytes())
        flush(report)
    journal.append(Entry(rows, skipped, {}, None))
    return resumed


def _publish(journal: Journal, target: Path, output: str | os.PathLike[str], plan: Plan) -> None:
    """Move a complete folder to its place."""
    data = journal.folder / _DATA
    if data.exists():  # not if a crash came after this
        for path in data.iterdir():
            if path.suffix != ".parquet":
                path.unlink()
        _check_free(target, output, plan)  # something may have taken the place meanwhile
    publish_skipped(journal, target)
    if data.exists():
        if target.exists():
            shutil.rmtree(journal.folder / _REPLACED, ignore_errors=True)
            target.rename(journal.folder / _REPLACED)
        data.rename(target)
    sync_folder(target.parent)


def _check_free(target: Path, output: str | os.PathLike[str], plan: Plan) -> None:
    """Check that a folder is missing or empty, or that it may be replaced.

    Raises:
        FileError: it is not.
    """
    if not target.exists():
        return
    if not target.is_dir():
        raise FileError(f"{output}: is a file, expected a folder to create; choose another output")
    names = sorted(path.name for path in target.iterdir())
    if names and not plan.overwrite:
        raise FileError(f"{output}: exists and is not empty; choose another output, or pass overwrite=True")
    # Spark writes the other two.
    others = [name for name in names if not name.endswith((".parquet", ".crc")) and name != "_SUCCESS"]
    if others:
        raise FileError(
            f"{output}: holds {others[0]}, which is not Parquet, and overwrite=True does not delete it; "
            "choose another output"
        )
