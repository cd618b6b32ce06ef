"""Daft: a frame in, the same with a column of embeddings out.

Daft has a protocol for embedders too, `daft.ai.provider.Provider`. It hands over texts as a list of str and
takes embeddings as a list of arrays. This module passes Arrow columns instead.
"""

from __future__ import annotations

import os
from typing import Any

from portvec.integrations._common import missing_extra

try:
    import daft

    from portvec._bulk.arrow import EMBEDDING, TEXT, VectorType, check_columns, vector_type
    from portvec.integrations._engines import embed_array, shared_model
except ImportError as error:
    raise missing_extra("daft", "daft", error) from error

_BATCH = 4096  # rows


def embed(
    frame: daft.DataFrame,
    source: str | os.PathLike[str],
    *,
    column: str = TEXT,
    name: str = EMBEDDING,
    dtype: VectorType = "float32",
    batch_size: int = _BATCH,
    use_process: bool | None = False,
    **options: Any,
) -> daft.DataFrame:
    """Return a frame with one more column, the embeddings of its texts. The plan is not run.

    Daft does not keep the order of rows: carry a column of ids, and sort by it in the end if order matters.

    Args:
        frame: a DataFrame.
        source: an artifact folder, a Model2Vec folder, or a Hub id `owner/name` of either. If Daft runs on
            Ray, every machine must have it.
        column: its column of texts. A text that is null has the embedding null.
        name: name of the new column, a fixed size list of dim floats.
        dtype: "float32", or "float16", which rounds.
        batch_size: as in `embed_expression`.
        use_process: as in `embed_expression`.
        options: keyword arguments of `StaticEmbedder.load`, but its `dtype`; an unknown one raises TypeError.

    Raises:
        InputError: there is no such column, it holds something else than texts, or there is a column `name`.
        OptionError: the dtype is unknown.
        SourceError: the source does not exist, cannot be fetched or is not a Model2Vec model.
        ArtifactError: the artifact is damaged.
    """
    check_columns(frame.schema().to_pyarrow_schema(), column, name)
    embeddings = embed_expression(
        daft.col(column), source, dtype=dtype, batch_size=batch_size, use_process=use_process, **options
    )
    return frame.with_column(name, embeddings)


def embed_expression(
    texts: daft.Expression,
    source: str | os.PathLike[str],
    *,
    dtype: VectorType = "float32",
    batch_size: int = _BATCH,
    use_process: bool | None = False,
    **options: Any,
) -> daft.Expression:
    """Return the expression of the embeddings of an expression of texts.

    Args:
        texts: an expression of type string. A text that is null has the embedding null.
        source: an artifact folder, a Model2Vec folder, or a Hub id `owner/name` of either.
        dtype: "float32", or "float16", which rounds.
        batch_size: rows that are embedded at a time, at most.
        use_process: embed in processes of their own, which load the model each; False for threads of this
            process, which share the model; None leaves it to Daft.
        options: keyword arguments of `StaticEmbedder.load`, but its `dtype`; an unknown one raises TypeError.

    Raises:
        OptionError: the dtype is unknown.
        SourceError: the source does not exist, cannot be fetched or is not a Model2Vec model.
        ArtifactError: the artifact is damaged.
    """
    model = shared_model(source, options)
    kind = daft.DataType.from_arrow_type(vector_type(model.embedder.dim, dtype))

    @daft.func.batch(return_dtype=kind, batch_size=batch_size, use_process=use_process)
    def portvec(series: daft.Series) -> Any:
        return embed_array(model.embedder, series.to_arrow(), series.name(), dtype=dtype)

    embeddings: daft.Expression = portvec(texts)
    return embeddings
