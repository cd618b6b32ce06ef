"""DuckDB: a function of SQL that embeds texts."""

from __future__ import annotations

import os
from typing import Any

from portvec._artifact import format as fmt
from portvec._messages import fold_lines
from portvec._tokenization.prompts import choose_prompt
from portvec.errors import OptionError
from portvec.integrations._common import missing_extra

try:
    import duckdb

    from portvec._bulk.arrow import VectorType
    from portvec.integrations._engines import check_dtype, embed_array, shared_model
except ImportError as error:
    raise missing_extra("duckdb", "duckdb", error) from error

# By name, because the module of these constants moved. With "special", null reaches the function.
_AS_ARROW: Any = {"type": "arrow", "null_handling": "special"}


def register(
    connection: duckdb.DuckDBPyConnection,
    source: str | os.PathLike[str],
    *,
    name: str = "portvec",
    dtype: VectorType = "float32",
    prompt_name: str = fmt.DOCUMENT,
    **options: Any,
) -> None:
    """Add a function from VARCHAR to FLOAT[dim] to a connection: `SELECT portvec(text) FROM t`.

    NULL gives NULL. The function embeds with one thread unless `threads` is given, because DuckDB calls it
    from several threads, with 2,048 rows at most.

    Args:
        connection: a connection, for whose database the function is known as long as it is open.
        source: an artifact folder, a Model2Vec folder, or a Hub id `owner/name` of either.
        name: name of the function.
        dtype: "float32", the only one that DuckDB has.
        prompt_name: name of the model's prompt to put before each text. "query" makes a function for queries.
        options: keyword arguments of `StaticEmbedder.load`, but its `dtype`; an unknown one raises TypeError.

    Raises:
        OptionError: the connection has a function of this name, or it cannot be one; another dtype; or the
            model has no such prompt.
        SourceError: the source does not exist, cannot be fetched or is not a Model2Vec model.
        ArtifactError: the artifact is damaged.
    """
    check_dtype(dtype, ("float32",), "DuckDB")
    embedder = shared_model(source, options).embedder
    choose_prompt(embedder.prompts, None, prompt_name, None)  # refuses a name that is unknown

    def embed_texts(texts: Any) -> Any:
        return embed_array(embedder, texts, "text", prompt_name=prompt_name)

    try:
        connection.create_function(name, embed_texts, ["VARCHAR"], f"FLOAT[{embedder.dim}]", **_AS_ARROW)
    except duckdb.Error as error:
        raise OptionError(
            f"name is {name!r}, which DuckDB does not take ({fold_lines(error)}); give another name=..., or "
            f"call connection.remove_function({name!r}) first"
        ) from error
