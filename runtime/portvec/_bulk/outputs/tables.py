"""Parts as Arrow tables: the columns of the source, and the embeddings as the last one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from portvec._bulk.arrow import VectorType, to_vectors, vector_type
from portvec._bulk.parts import Part
from portvec._bulk.provenance import Provenance
from portvec._messages import fold_lines
from portvec.errors import FileError

if TYPE_CHECKING:
    import numpy.typing as npt


class Columns:
    """The columns of an output.

    Attributes:
        embedding: name of the column of embeddings.
        dtype: type of their numbers.
        schema: pyarrow.Schema of all columns; its metadata says which model the embeddings are from.
    """

    def __init__(
        self,
        source: Any,
        dim: int,
        provenance: Provenance,
        *,
        dtype: VectorType,
        fixed_size: bool,
        dictionaries: bool = True,
    ) -> None:
        """Add a column of embeddings to the schema `source`. Without `dictionaries`, those are decoded.

        Raises:
            FileError: there is a column of that name already.
        """
        if provenance.embedding in source.names:
            raise FileError(
                f"the rows have a column {provenance.embedding!r} already; give another vector_field=... to "
                "the embeddings"
            )
        self.embedding = provenance.embedding
        self._source = source
        self._decoded = None if dictionaries else pa.schema(map(_decode, source), source.metadata)
        self.dtype: VectorType = dtype
        self._fixed_size = fixed_size
        field = pa.field(self.embedding, vector_type(dim, dtype, fixed_size=fixed_size))
        metadata = {**(source.metadata or {}), **provenance.metadata()}
        self.schema = (self._decoded or source).append(field).with_metadata(metadata)

    def rows(self, part: Part) -> Any:
        """Return the columns of the source for a part, as a pyarrow.Table with one chunk a column."""
        with arrow_errors():
            batches = [block.record_batch(self._source) for block in part.blocks]
            rows = pa.Table.from_batches(batches, self._source).combine_chunks()
            return rows if self._decoded is None else rows.cast(self._decoded)

    def table(self, part: Part, embeddings: npt.NDArray[np.float32]) -> Any:
        """Return a part with its embeddings, float32 (len(part), dim), as a table like that."""
        vectors = to_vectors(embeddings, self.dtype, fixed_size=self._fixed_size)
        return pa.Table.from_arrays([*self.rows(part).columns, vectors], schema=self.schema)


@contextmanager
def arrow_errors() -> Iterator[None]:
    """Raise what pyarrow cannot do with the columns of a source as an error of portvec.

    Raises:
        FileError: pyarrow does not support a type here, or values do not fit each other.
    """
    try:
        yield
    except pa.ArrowException as error:
        if isinstance(error, OSError):
            raise
        raise FileError(
            f"the columns cannot be written ({fold_lines(error)}); leave out the one that is named, or "
            "choose .jsonl or .npy"
        ) from error


def _decode(field: Any) -> Any:
    """Return the field of values for one of a dictionary."""
    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
