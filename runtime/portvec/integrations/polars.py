"""polars: a frame in, the same with a column of embeddings out, also in a lazy plan."""

from __future__ import annotations

import os
from typing import Any, TypeVar

from portvec.integrations._common import missing_extra

try:
    import polars as pl

    from portvec._bulk.arrow import EMBEDDING, TEXT, VectorType, check_columns
    from portvec.integrations._engines import check_dtype, embed_array, shared_model
except ImportError as error:
    raise missing_extra("polars", "polars", error) from error

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)

# Older versions of polars have no half float.
_TYPES: dict[str, Any] = {
    dtype: kind
    for dtype, kind in (("float32", pl.Float32), ("float16", getattr(pl, "Float16", None)))
    if kind is not None
}


def embed(
    frame: Frame,
    source: str | os.PathLike[str],
    *,
    column: str = TEXT,
    name: str = EMBEDDING,
    dtype: VectorType = "float32",
    **options: Any,
) -> Frame:
    """Return a frame with one more column, the embeddings of its texts. Rows keep their order.

    A plan is not run. With `sink_parquet`, polars runs it in batches, so that neither texts nor embeddings
    need to fit into memory.

    Args:
        frame: a DataFrame or LazyFrame.
        source: an artifact folder, a Model2Vec folder, or a Hub id `owner/name` of either.
        column: its column of texts. A text that is null has the embedding null.
        name: name of the new column, an Array of dim floats.
        dtype: "float32", or "float16", which rounds, if this polars has it.
        options: keyword arguments of `StaticEmbedder.load`, but its `dtype`; an unknown one raises TypeError.

    Raises:
        InputError: there is no such column, it holds something else than texts, or there is a column `name`.
        OptionError: polars has no such dtype.
        SourceError: the source does not exist, cannot be fetched or is not a Model2Vec model.
        ArtifactError: the artifact is damaged.
    """
    check_dtype(dtype, tuple(_TYPES), f"polars {pl.__version__}")
    check_columns(pl.DataFrame(schema=frame.lazy().collect_schema()).to_arrow().schema, column, name)
    # polars hands over one batch after the other, so that the embedder's own threads use the cores.
    embedder = shared_model(source, {"threads": None, **options}).embedder

    def embed_series(texts: pl.Series) -> pl.Series:
        return pl.Series(embed_array(embedder, texts.to_arrow(), column, dtype=dtype))

    kind = pl.Array(_TYPES[dtype], embedder.dim)
    expression = pl.col(column).map_batches(embed_series, return_dtype=kind, is_elementwise=True)
    return frame.with_columns(expression.alias(name))
