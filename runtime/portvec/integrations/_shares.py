"""Shares of Parquet files, each of which a worker embeds into a file of its own.

So texts and vectors do not go through the engine, which would take longer than to embed them.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow.parquet as pq

from portvec._bulk.journal import flush, sync_folder
from portvec._bulk.outputs.opening import find_writer
from portvec._bulk.provenance import Provenance
from portvec._bulk.running import Plan, describe_skipped, list_versions
from portvec._bulk.sources.arrow_tables import ArrowTables
from portvec._bulk.to_file import naming, write_once
from portvec.errors import FileError, SourceError
from portvec.integrations._common import LazyEmbedder

# Rooms in the folder of a run: the files, and the notes about them.
DATA: Final = "data"
NOTES: Final = "notes"
# Rows of a share at most: 128 MiB of float32 vectors with 256 numbers.
_MOST_ROWS: Final = 1 << 17


class Share(NamedTuple):
    """Rows of a Parquet file.

    Attributes:
        number: its place among all shares, which are in the order of the rows.
        path: the file.
        start: the first row.
        stop: the row after the last one.
    """

    number: int
    path: str
    start: int
    stop: int

    @property
    def file(self) -> str:
        """Name of the file that the share is embedded into. Names sort as numbers do."""
        return f"part-{self.number:09}.parquet"

    @property
    def skipped(self) -> str:
        """Name of the list of its rows that were skipped."""
        return f"part-{self.number:09}.skipped"

    @property
    def done(self) -> str:
        """Name of the note that it is embedded, with its counts. It is written last."""
        return f"part-{self.number:09}.done"


class ShareCounts(NamedTuple):
    """What came of a share.

    Attributes:
        rows: the number of rows that were embedded.
        skipped: the number of those that were skipped.
        size: bytes of the file.
    """

    rows: int
    skipped: int
    size: int


def cut_shares(paths: Sequence[Path], most_rows: int = _MOST_ROWS) -> list[Share]:
    """Return the shares of Parquet files, at least one. Which they are depends on the files alone.

    Row groups are kept together where they fit into a share, because a worker that begins in the middle of
    one has to decode it from its start.
    """
    ranges = [(path, rows) for path in paths for rows in _cut(path, most_rows)]
    if not ranges:  # no row at all: the file that is written has a schema
        ranges = [(paths[0], range(0))]
    return [Share(number, str(path), rows.start, rows.stop) for number, (path, rows) in enumerate(ranges)]


def _cut(path: Path, most_rows: int) -> Iterator[range]:
    with pq.ParquetFile(path) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    start = stop = 0
    for size in sizes:
        if stop - start + size > most_rows and stop > start:
            yield range(start, stop)
            start = stop
        stop += size
        pieces = -(-(stop - start) // most_rows)
        if pieces > 1:
            edges = [start + (stop - start) * piece // pieces for piece in range(pieces + 1)]
            yield from map(range, edges, edges[1:])
            start = stop
    if stop > start:
        yield range(start, stop)


@dataclass(frozen=True)
class ShareEmbedder:
    """Embeds shares on whichever machine it is sent to. A share may be embedded twice, with the same result.

    Attributes:
        model: the model.
        manifest_sha256: SHA-256 (hex) of the manifest that its artifact must have.
        versions: the versions of libraries that the machine must have.
        field: the column of texts.
        plan: how to write embeddings.
        folder: the folder of the run, which all machines see. It has rooms for files and notes.
    """

    model: LazyEmbedder
    manifest_sha256: str
    versions: dict[str, str]
    field: str
    plan: Plan
    folder: str

    def __call__(self, share: Share) -> ShareCounts:
        """Embed a share.

        Raises:
            FileError: its file cannot be read, a row cannot be embedded and is not to be skipped, or the
                folder cannot be written.
            SourceError: the model on this machine is another one, or cannot be loaded.
            ArtifactError: its artifact is damaged.
        """
        self._check_machine(share)
        embedder = self.model.embedder
        if embedder.manifest_sha256 != self.manifest_sha256:
            raise SourceError(
                f"{self.model.source}: another model than where the run was started (SHA-256 of the manifest "
                f"{embedder.manifest_sha256}, there {self.manifest_sha256}); give all machines the same one"
            )
        rows = range(share.start, share.stop)
        source = ArrowTables(share.path, [Path(share.path)], self.field, "parquet", rows)
        target = Path(self.folder, DATA, share.file)
        open_writer = find_writer(
            target,
            source,
            embedder.dim,
            Provenance.of(embedder, self.field, self.plan.embedding, self.plan.prompt_name),
            dtype=self.plan.dtype,
            fixed_size=self.plan.fixed_size,
        )
        # Another worker may embed the same share, if the engine believes that this one is lost.
        work = Path(self.folder, f"{uuid.uuid4().hex}.tmp")
        with naming(target):
            try:
                with work.open("w+b") as file:
                    count, skipped = write_once(embedder, source, file, open_writer, self.plan)
                    counts = ShareCounts(count, len(skipped), flush(file))
                work.replace(target)
                notes = Path(self.folder, NOTES)
                _write(notes / share.skipped, b"".join(map(describe_skipped, skipped)), work)
                _write(notes / share.done, json.dumps(counts).encode(), work)
            finally:
                work.unlink(missing_ok=True)
            sync_folder(target.parent)
        return counts

    def _check_machine(self, share: Share) -> None:
        """Check that this machine is as the one where the run was started, as far as it matters.

        Raises:
            FileError: files cannot be reached, or libraries have other versions.
        """
        machine = socket.gethostname()
        for path in (share.path, self.folder):
            try:
                os.stat(path)  # noqa: PTH116
            except OSError as error:
                raise FileError(
                    f"{path}: cannot be reached on the machine {machine} ({error.strerror}); all machines "
                    "must see input and output under the same paths, and as the same user"
                ) from error
        versions = list_versions()
        for name in {**self.versions, **versions}:
            here, there = versions.get(name, "none"), self.versions.get(name, "none")
            if here != there:
                raise FileError(
                    f"{self.folder}: {name} is {here} on the machine {machine}, and {there} where the run "
                    "was started; install the same on all machines"
                )


def read_counts(folder: Path, shares: Sequence[Share]) -> dict[Share, ShareCounts]:
    """Return the counts of the shares that are embedded.

    A share with a file that is damaged or gone, which a disk may do, does not count.

    Args:
        folder: the folder of the run.
        shares: all shares.
    """
    found = {}
    for share in shares:
        with suppress(OSError, ValueError, TypeError):
            counts = ShareCounts(*json.loads((folder / NOTES / share.done).read_bytes()))
            size = (folder / DATA / share.file).stat().st_size
            if size == counts.size and (folder / NOTES / share.skipped).exists():
                found[share] = counts
    return found


def _write(path: Path, content: bytes, work: Path) -> None:
    """Write a file that appears when it is complete."""
    with work.open("wb") as file:
        file.write(content)
        flush(file)
    work.replace(path)
