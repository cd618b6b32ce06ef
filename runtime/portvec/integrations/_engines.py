"""What the adapters of engines share: a model that workers load, and columns in the types of the engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from portvec._artifact import format as fmt
from portvec._bulk.arrow import VectorType, check_columns, embed_batch, encode_column, to_vectors
from portvec._bulk.sources import Source
from portvec._embedder import StaticEmbedder
from portvec.errors import OptionError
from portvec.integrations._common import LazyEmbedder


def shared_model(source: str | os.PathLike[str], options: dict[str, Any]) -> LazyEmbedder:
    """Return a model that pickles without its token, and that each process loads once.

    A folder becomes an absolute path, because workers run in other folders. The model uses one thread unless
    `options` say otherwise, because an engine has a worker for each core.
    """
    options = {"threads": 1, **options}
    model = LazyEmbedder(source, options)
    if os.path.exists(model.source):  # noqa: PTH110
        model = LazyEmbedder(os.path.abspath(model.source), options)  # noqa: PTH100
    return model


def check_dtype(dtype: str, known: tuple[str, ...], engine: str) -> None:
    """Check that an engine has vectors of a dtype.

    Raises:
        OptionError: it has not.
    """
    if dtype not in known:
        raise OptionError(f"dtype is {dtype!r}, but vectors in {engine} are {' or '.join(known)}")


def check_number(name: str, value: object) -> None:
    """Check that an argument is a number of processes.

    Raises:
        OptionError: it is neither a whole number of 1 or more, nor None.
    """
    if value is not None and (not isinstance(value, int) or value < 1):
        raise OptionError(f"{name} is {value!r}, expected a whole number of 1 or more, or None")


@contextmanager
def show_progress(source: Source, shown: bool) -> Iterator[Callable[[int], object]]:
    """Yield what counts rows that are embedded, in a progress bar on stderr if it is to be shown."""
    if not shown:
        yield lambda rows: None
        return
    from portvec._progress import Progress  # slow to import

    with Progress(total=source.rows, unit=" rows") as bar:
        yield bar.update


def embed_table(
    embedder: StaticEmbedder, table: Any, column: str, *, name: str, dtype: VectorType, fixed_size: bool
) -> Any:
    """Return a pyarrow.Table with one more column, as `embed_batch` does it for a record batch."""
    # A table may come in many pieces, and small batches take more time per text.
    batches = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]
    return pa.Table.from_batches(
        [
            embed_batch(embedder, batch, column, name=name, dtype=dtype, fixed_size=fixed_size)
            for batch in batches
        ]
    )


def embed_array(
    embedder: StaticEmbedder,
    texts: Any,
    column: str,
    *,
    dtype: VectorType = "float32",
    prompt_name: str = fmt.DOCUMENT,
) -> Any:
    """Return the embeddings of an Arrow array of texts: a fixed size list, null where the text is null.

    Raises:
        InputError: the array holds something else than texts.
        OptionError: the model has no prompt of this name.
    """
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    check_columns(pa.schema([(column, texts.type)]), column, name="")
    rows, missing = encode_column(embedder, texts, column, prompt_name=prompt_name)
    return to_vectors(rows, dtype, missing=missing)
