"""The Arrow core: a batch of rows in, the same batch with a column of embeddings out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.types as types

from portvec._artifact import format as fmt
from portvec._embedder import StaticEmbedder
from portvec._messages import describe_unknown
from portvec.errors import InputError, OptionError

if TYPE_CHECKING:
    import numpy.typing as npt

TEXT: Final = "text"
EMBEDDING: Final = "embedding"
VectorType = Literal["float32", "float16"]
_TYPES: dict[str, Any] = {"float32": pa.float32(), "float16": pa.float16()}
# Offsets of an array of lists are int32. Large lists have int64, but they are another type; and a column of a
# record batch is one array, so it cannot be split here.
_MOST_LISTED: Final = 2**31 - 1


def vector_type(dim: int, dtype: VectorType = "float32", *, fixed_size: bool = True) -> Any:
    """Return the Arrow type of embeddings: a list of `dim` floats.

    Raises:
        OptionError: the dtype is unknown.
    """
    if dtype not in _TYPES:
        raise OptionError(describe_unknown("dtype", dtype, _TYPES))
    return pa.list_(_TYPES[dtype], dim if fixed_size else -1)


def to_vectors(
    rows: npt.NDArray[np.float32],
    dtype: VectorType = "float32",
    *,
    fixed_size: bool = True,
    missing: npt.NDArray[np.bool_] | None = None,
) -> Any:
    """Return embeddings float32 (n, dim) as an Arrow array, with null for rows that are `missing`, bool (n,).

    float16 rounds each number to the nearest one.

    Raises:
        InputError: there are more numbers than fit in an array of lists.
    """
    n, dim = rows.shape
    if not fixed_size and n * dim > _MOST_LISTED:
        raise InputError(
            f"{n:,} embeddings of dimension {dim} are {n * dim:,} numbers, and one array of lists holds "
            f"{_MOST_LISTED:,}; give at most {_MOST_LISTED // dim:,} rows at a time, or make lists of a "
            "fixed size"
        )
    kind = vector_type(dim, dtype, fixed_size=fixed_size)
    values = pa.array(np.ascontiguousarray(rows, dtype=dtype).reshape(-1))
    mask = None if missing is None or not missing.any() else pa.array(missing)
    if fixed_size:
        return pa.FixedSizeListArray.from_arrays(values, type=kind, mask=mask)
    offsets = np.arange(n + 1, dtype=np.int32) * np.int32(dim)
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=mask)


def embed_batch(
    embedder: StaticEmbedder,
    batch: Any,
    column: str = TEXT,
    *,
    name: str = EMBEDDING,
    dtype: VectorType = "float32",
    fixed_size: bool = True,
) -> Any:
    """Return a record batch with one more column, the embeddings of its texts, which are documents.

    Args:
        embedder: the model.
        batch: a pyarrow.RecordBatch.
        column: its column of texts: string, large_string or string_view, or a dictionary of one of them, of
            which each text is embedded once.
        name: name of the new column. A text that is null has the embedding null.
        dtype: "float32", or "float16", which rounds.
        fixed_size: make a FixedSizeList, or a List for readers that take no other.

    Raises:
        InputError: `batch` is no record batch, it has no such column or two of them, the column holds
            something else than texts, there is a column `name` already, or there are more rows than lists
            that are not of a fixed size can hold.
        OptionError: the dtype is unknown.
    """
    if not isinstance(batch, pa.RecordBatch):
        raise InputError(f"the batch is of type {type(batch).__name__}, expected a pyarrow.RecordBatch")
    check_columns(batch.schema, column, name)
    kind = vector_type(embedder.dim, dtype, fixed_size=fixed_size)
    rows, missing = encode_column(embedder, batch.column(column), column)
    vectors = to_vectors(rows, dtype, fixed_size=fixed_size, missing=missing)
    schema = batch.schema.append(pa.field(name, kind))
    return pa.RecordBatch.from_arrays([*batch.columns, vectors], schema=schema)


def check_columns(schema: Any, column: str, name: str) -> None:
    """Check that rows have a column of texts, and none that is called `name`.

    Raises:
        InputError: they do not.
    """
    names = schema.names
    if names.count(column) != 1:
        problem = "no column" if column not in names else "more than one column"
        raise InputError(f"{problem} {column!r}, has {', '.join(names) or 'none'}; give another column=...")
    if name in names:
        raise InputError(f"has a column {name!r} already; give another name=... to the embeddings")
    kind = schema.field(column).type
    if not is_text(kind):
        raise InputError(
            f"the column {column!r} is {kind}, expected string; cast it, or give another column=..."
        )


def is_text(kind: Any) -> bool:
    """Return whether an Arrow type is one of texts, or of nothing but null."""
    if types.is_dictionary(kind):
        kind = kind.value_type
    is_view = getattr(types, "is_string_view", lambda _: False)  # not in older versions of pyarrow
    return bool(types.is_string(kind) or types.is_large_string(kind) or is_view(kind) or types.is_null(kind))


def encode_column(
    embedder: StaticEmbedder, texts: Any, column: str, *, prompt_name: str = fmt.DOCUMENT
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return the embeddings of an array of texts, float32 (n, dim), and which texts are null, bool (n,).

    Raises:
        InputError: a text is not UTF-8, which Arrow does not check.
        OptionError: the model has no prompt of this name.
    """
    missing = np.asarray(texts.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)
    if types.is_dictionary(texts.type):
        indices = texts.indices.fill_null(0).to_numpy(zero_copy_only=False)[~missing]
        used, inverse = np.unique(indices, return_inverse=True)
        different = _read(map(texts.dictionary.__getitem__, used.tolist()), column)
        found = embedder.encode(different, prompt_name=prompt_name)[inverse]
    else:
        found = embedder.encode(_read(texts, column), prompt_name=prompt_name)
    if not missing.any():
        return found, missing
    rows = np.zeros((len(texts), embedder.dim), dtype=np.float32)
    rows[~missing] = found
    return rows, missing


def _read(texts: Iterable[Any], column: str) -> list[str]:
    """Return the texts that are not null. To tokenize Arrow's bytes instead would save 5% at most."""
    try:
        values = texts.to_pylist() if hasattr(texts, "to_pylist") else [text.as_py() for text in texts]
    except UnicodeDecodeError as error:
        raise InputError(f"the column {column!r} holds a text that is not UTF-8 ({error})") from error
    return [value for value in values if value is not None]
