"""A source in, rows of a Milvus collection out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from portvec._bulk.journal import SUFFIX, open_journal
from portvec._bulk.milvus.target import is_file, parse_target, show_target
from portvec._bulk.milvus.writing import MilvusCollection
from portvec._bulk.parts import Part
from portvec._bulk.provenance import Provenance
from portvec._bulk.running import (
    Counts,
    Plan,
    Progress,
    check_input,
    describe_settings,
    embed_journaled,
    publish_skipped,
)
from portvec._bulk.sources import Source
from portvec._embedder import StaticEmbedder
from portvec._messages import install
from portvec.errors import FileError, MissingExtraError, OptionError

if TYPE_CHECKING:
    import numpy.typing as npt


def embed_into_milvus(
    embedder: StaticEmbedder,
    source: Source,
    target: str,
    plan: Plan,
    progress: Progress = lambda rows: None,
    *,
    id_field: str | None = None,
    metric: str = "COSINE",
    token: str | None = None,
) -> Counts:
    """Embed the rows of a source into a collection, in parts. A part counts as done when Milvus has it.

    If the process dies at any moment, the same call goes on after the last part. Rows that were sent twice
    are there once, because their primary keys are the same.

    Args:
        embedder: the model.
        source: the rows.
        target: "milvus:URI/COLLECTION".
        plan: how to embed them. `overwrite` drops the collection first.
        progress: called with the number of rows that an earlier run has sent, and then with a number of
            further ones.
        id_field: the column that is the primary key; the number of the row if None.
        metric: "COSINE", "IP" or "L2".
        token: a token, or user:password, instead of what the URI holds.

    Raises:
        OptionError: `target` is none, or an option does not fit Milvus.
        FileError: the collection does not fit, has rows that would be replaced, or was begun from another
            source, by another model or with other settings; Milvus cannot be reached; or the source cannot
            be read.
        MissingExtraError: pyarrow, pymilvus or milvus-lite is not installed.
    """
    if plan.dtype != "float32":
        raise OptionError(
            f"dtype is {plan.dtype!r}, and rows for Milvus have vectors of float32; leave it out"
        )
    try:
        from portvec._bulk.outputs.tables import Columns
    except ImportError as error:
        raise MissingExtraError(f"rows for Milvus need pyarrow ({error}); {install('bulk')}") from error
    uri, collection = parse_target(target)
    name = show_target(uri, collection)
    settings = {
        "collection": name,
        "primary_key": id_field,
        "metric": metric,
        **describe_settings(embedder, source, plan),
    }
    provenance = Provenance.of(embedder, source.text, plan.embedding, plan.prompt_name)
    columns = Columns(source.schema(), embedder.dim, provenance, dtype="float32", fixed_size=True)
    output = beside_target(target)
    # A stream cannot be read again, so what a run with it has left is of no use.
    again = bool(source.files) and all(map(Path.is_file, source.files))
    with (
        _naming(output),
        open_journal(output, settings, overwrite=plan.overwrite, resume=again) as journal,
    ):
        resumed = journal.last.rows
        milvus = MilvusCollection.open(
            uri,
            collection,
            schema=columns.schema,
            text=source.text,
            vector=plan.embedding,
            dim=embedder.dim,
            id_field=id_field,
            metric=metric,
            token=token,
            overwrite=plan.overwrite and not journal.is_continued,
        )
        try:
            has_rows = milvus.has_rows()
            if journal.entries and not has_rows:
                raise FileError(
                    f"{name}: has none of the {resumed:,} rows that were sent; remove {journal.folder} to "
                    "send them again"
                )
            if has_rows and id_field is None and not journal.is_continued:
                raise FileError(
                    f"{name}: has rows already, and row numbers as primary keys would put new rows in their "
                    "places; give id_field=..., or replace the collection with overwrite=True"
                )

            journal.is_begun = True

            def write(part: Part, rows: npt.NDArray[np.float32]) -> tuple[dict[str, int], Any]:
                first = journal.last.rows
                for batch in columns.table(part, rows).to_batches():
                    milvus.upsert(batch, first)
                    first += len(batch)
                return {}, None

            if not journal.is_finished:
                embed_journaled(embedder, source, plan, journal, write, progress)
                check_input(source, settings)
                journal.finish()
        finally:
            milvus.close()
        publish_skipped(journal, output)
        journal.remove()
    return Counts(journal.last.rows, journal.last.skipped, resumed)


@contextmanager
def _naming(output: Path) -> Iterator[None]:
    """Turn errors of the operating system into one that names the folder of the journal."""
    try:
        yield
    except OSError as error:
        raise FileError(
            f"{output}{SUFFIX}: cannot be written ({error.strerror or error}); is its folder there?"
        ) from error


def beside_target(target: str) -> Path:
    """Return the path that stands for a collection: its journal and its list of skipped rows lie beside it.

    It is beside the file of Milvus Lite, and in the current folder for a server.

    Raises:
        OptionError: `target` is none.
    """
    uri, collection = parse_target(target)
    return Path(f"{uri}.{collection}" if is_file(uri) else f"milvus.{collection}")
