"""Spark: a frame in, the same with a column of embeddings out, as Arrow batches; and Parquet to Parquet.

The workers need portvec and pyarrow, and a Python of the same minor version as the driver's.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Generator, Iterator
from typing import Any, Literal

from portvec import errors
from portvec._messages import fold_lines
from portvec.errors import FileError, PortvecError
from portvec.integrations._common import missing_extra

try:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.pandas.types import to_arrow_schema
    from pyspark.sql.types import ArrayType, FloatType, StructField, StructType

    from portvec._bulk.arrow import EMBEDDING, TEXT, VectorType, check_columns, embed_batch
    from portvec._bulk.running import Plan
    from portvec._bulk.sources import open_source
    from portvec.integrations._engines import check_dtype, shared_model
    from portvec.integrations._shares import Share, ShareCounts, ShareEmbedder
    from portvec.integrations._to_folder import RunShares, embed_folder
except ImportError as error:
    raise missing_extra("spark", "pyspark", error) from error


def embed(
    frame: DataFrame,
    source: str | os.PathLike[str],
    *,
    column: str = TEXT,
    name: str = EMBEDDING,
    dtype: VectorType = "float32",
    **options: Any,
) -> DataFrame:
    """Return a frame with one more column, the embeddings of its texts. The plan is not run.

    Spark does not keep the order of rows: carry a column of ids, and sort by it in the end if order matters.

    Args:
        frame: a DataFrame.
        source: an artifact folder, a Model2Vec folder, or a Hub id `owner/name` of either, which every
            machine must have. It is loaded here too, for its errors.
        column: its column of texts. A text that is null has the embedding null.
        name: name of the new column, ARRAY<FLOAT> with dim elements.
        dtype: "float32", the only one that Spark has.
        options: keyword arguments of `StaticEmbedder.load`, but its `dtype`; an unknown one raises TypeError.
            A token is not sent to the workers.

    Raises:
        InputError: there is no such column, it holds something else than texts, or there is a column `name`.
        OptionError: another dtype.
        SourceError: the source does not exist, cannot be fetched or is not a Model2Vec model.
        ArtifactError: the artifact is damaged.
    """
    check_columns(to_arrow_schema(frame.schema), column, name)
    embed_partition = batch_embedder(source, column=column, name=name, dtype=dtype, **options)
    schema = StructType([*frame.schema.fields, StructField(name, ArrayType(FloatType(), False))])
    return frame.mapInArrow(embed_partition, schema)


def batch_embedder(
    source: str | os.PathLike[str],
    *,
    column: str = TEXT,
    name: str = EMBEDDING,
    dtype: VectorType = "float32",
    **options: Any,
) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """Return the function for `mapInArrow`: an iterator of pyarrow.RecordBatch in, another out.

    Args:
        source: as in `embed`.
        column: as in `embed`.
        name: as in `embed`.
        dtype: as in `embed`.
        options: as in `embed`.

    Raises:
        OptionError: another dtype.
        SourceError: the source does not exist, cannot be fetched or is not a Model2Vec model.
        ArtifactError: the artifact is damaged.
    """
    check_dtype(dtype, ("float32",), "Spark")
    model = shared_model(source, options)
    _ = model.embedder

    def embed_partition(batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            yield embed_batch(model.embedder, batch, column, name=name, fixed_size=False)

    return embed_partition


def embed_parquet(
    session: SparkSession,
    source: str | os.PathLike[str],
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    field: str | None = None,
    vector_field: str = EMBEDDING,
    dtype: VectorType = "float32",
    fixed_size: bool = True,
    on_error: Literal["fail", "skip"] = "fail",
    overwrite: bool = False,
    **options: Any,
) -> int:
    """Embed Parquet files on a cluster, and return the number of rows in the output.

    Each worker reads rows and writes files by itself, so all machines must see input and output under the
    same paths. Spark's own writer would take longer than embedding does. The output is a folder of Parquet
    files, which appears when all rows are there, each once. In the order of their names, the files have the
    rows in their order. If the call is stopped, the same call embeds what is missing.

    Args:
        session: a SparkSession.
        source: as in `embed`.
        input: a Parquet file, a folder of them, or a glob pattern, on a disk and not in a store of objects.
        output: the folder to create.
        field: the column of texts, "text" by default.
        vector_field: name of the new column.
        dtype: "float32", or "float16", which rounds, and which Spark itself cannot read.
        fixed_size: make fixed size lists, or lists for readers that take no other.
        on_error: what to do about a row that cannot be embedded, such as null: "fail", or "skip" it and list
            it in OUTPUT.skipped.jsonl.
        overwrite: whether to replace a folder that holds Parquet files and nothing else.
        options: as in `embed`.

    Raises:
        FileError: the input is missing, is not Parquet or has no such column of texts, or a row cannot be
            embedded; the output exists, cannot be written, or was begun with other settings.
        OptionError: the dtype is unknown.
        SourceError: the source does not exist, cannot be fetched or is not a Model2Vec model.
        ArtifactError: the artifact is damaged.
    """
    plan = Plan(
        embedding=vector_field, dtype=dtype, fixed_size=fixed_size, on_error=on_error, overwrite=overwrite
    )
    model = shared_model(source, options)
    rows = open_source(input, format="parquet", field=field)
    return embed_folder(model, rows, output, plan, _on(session)).rows


def _on(session: SparkSession) -> RunShares:
    """Return what has the workers of a session embed shares of Parquet files."""

    def run(work: ShareEmbedder, shares: list[Share]) -> Generator[ShareCounts, None, None]:
        def embed_shares(batches: Iterator[Any]) -> Iterator[Any]:
            for batch in batches:
                for index in batch.column("id").to_pylist():
                    try:
                        counts = work(shares[index])
                    except PortvecError as error:  # of which Spark hands over the text
                        raise type(error)(fold_lines(error)) from error
                    yield pa.RecordBatch.from_pylist([counts._asdict()])

        # A partition for each share.
        indices = session.range(0, len(shares), 1, len(shares))
        tag = f"portvec-{uuid.uuid4().hex}"
        session.addTag(tag)
        try:
            found = indices.mapInArrow(embed_shares, "rows long, skipped long, size long").collect()
        except Exception as error:  # of Spark, or of the bridge to Java
            raise _find_cause(error) from error
        finally:
            session.interruptTag(tag)  # a job that runs on would take the cores
            session.removeTag(tag)
        for row in found:
            yield ShareCounts(row.rows, row.skipped, row.size)

    return run


def _find_cause(error: Exception) -> PortvecError:
    """Return the error of portvec that a worker raised. Spark hands over the text of its traceback."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    for line in reversed(lines):
        found = re.match(r"portvec\.errors\.(\w+): (.+)", line)
        if found:
            kind: type[PortvecError] = getattr(errors, found[1])
            return kind(found[2])
    raised = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Interrupt|Exit)\b", line)]
    reason = (raised or lines or [type(error).__name__])[-1]
    return FileError(f"Spark could not embed the rows ({' '.join(reason.split())[:300]})")
