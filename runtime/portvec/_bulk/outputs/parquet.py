"""Rows as a Parquet file. Each part is a row group."""

from __future__ import annotations

import base64
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from portvec._bulk.outputs.parquet_footer import add_column, take_row_group, with_row_groups
from portvec._bulk.outputs.parquet_vectors import write_vectors
from portvec._bulk.outputs.tables import Columns, arrow_errors
from portvec._bulk.parts import Part

if TYPE_CHECKING:
    import numpy.typing as npt

_MAGIC = b"PAR1"


class ParquetWriter:
    """Writes a .parquet file.

    pyarrow cannot go on with a file: it writes the footer when it closes one. So it writes the columns of the
    source as a file in memory for each part. The row group of that goes to the end of this file, the
    embeddings follow it, and what the footer has to say about both goes into the journal.

    Embeddings are not compressed, because their numbers hardly can be. Other columns are, with zstd.
    """

    def __init__(self, file: IO[bytes], notes: list[Any], *, columns: Columns) -> None:
        self._file = file
        self._columns = columns
        self._groups = [base64.b64decode(note) for note in notes if note]
        with arrow_errors():
            _, self._footer = _split(_write(columns.schema.empty_table()))
        if not notes:
            file.write(_MAGIC)

    def write(self, part: Part, embeddings: npt.NDArray[np.float32]) -> str:
        """Append the row group of a part. The note is its metadata in base64, "" for a part without rows."""
        if not len(part):
            return ""
        with arrow_errors():
            body, footer = _split(_write(self._columns.rows(part)))
        group = take_row_group(footer, self._file.tell() - len(_MAGIC))
        self._file.write(body)
        rows = embeddings.astype(self._columns.dtype, copy=False)
        self._groups.append(add_column(group, *write_vectors(self._file, self._columns.embedding, rows)))
        return base64.b64encode(self._groups[-1]).decode("ascii")

    def finish(self) -> None:
        """Write the footer."""
        footer = with_row_groups(self._footer, self._groups)
        self._file.write(footer + len(footer).to_bytes(4, "little") + _MAGIC)


def _write(table: Any) -> memoryview:
    """Return a Parquet file with one row group, or none for a table without rows."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, table.schema, compression="zstd") as writer:
        if len(table):
            writer.write_table(table, row_group_size=len(table))
    return memoryview(sink.getvalue())


def _split(content: memoryview) -> tuple[memoryview, bytes]:
    """Return the row groups and the footer of a Parquet file."""
    size = int.from_bytes(content[-8:-4], "little")
    return content[len(_MAGIC) : -8 - size], bytes(content[-8 - size : -8])
