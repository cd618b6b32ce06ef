"""Spark: a frame in, the same with a column of embeddings out, as Arrow batches.

The workers need portvec and pyarrow, and a Python of the same minor version as the driver's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from portvec.integrations._common import missing_extra

try:
    from pyspark.sql import DataFrame
    from pyspark.sql.pandas.types import to_arrow_schema
    from pyspark.sql.types import ArrayType, FloatType, StructField, StructType

    from portvec._bulk.arrow import EMBEDDING, TEXT, VectorType, check_columns, embed_batch
    from portvec.integrations._engines import check_dtype, shared_model
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
