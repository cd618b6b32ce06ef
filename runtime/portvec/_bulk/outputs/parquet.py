"""Rows as a Parquet file. Each part is a row group."""

from __future__ import annotations

import base64
import io
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from portvec._bulk.outputs.parquet_footer import merge, shift
from portvec._bulk.outputs.tables import Columns
from portvec._bulk.parts import Part

if TYPE_CHECKING:
    import numpy.typing as npt

_MAGIC = b"PAR1"


class ParquetWriter:
    """Writes a .parquet file.

    pyarrow cannot go on with a file: it writes a footer when it closes one, and starts only with an empty
    one. So it writes each part as a file of its own in memory. The row group of that goes to the end of this
    file, and the footer into the journal. The last thing written is one footer for all.

    Embeddings are not compressed, because floats of embeddings hardly can be. The other columns are, by zstd.
    """

    def __init__(self, file: IO[bytes], notes: list[Any], *, columns: Columns) -> None:
        self._file = file
        self._columns = columns
        self._footers = [base64.b64decode(note) for note in notes if note]
        self._options = _find_options(columns)
        if not notes:
            file.write(_MAGIC)

    def write(self, part: Part, embeddings: npt.NDArray[np.float32]) -> str:
        """Append the row group of a part. The note is its footer in base64, or "" for a part without rows."""
        if not len(part):
            return ""
        table = self._columns.table(part, embeddings)
        content = memoryview(_write(table, self._options))
        body, footer = _split(content)
        self._footers.append(shift(bytes(footer), self._file.tell() - len(_MAGIC)))
        self._file.write(body)
        return base64.b64encode(self._footers[-1]).decode("ascii")

    def finish(self) -> None:
        """Write the footer."""
        if self._footers:
            content = merge(self._footers)
        else:
            _, footer = _split(memoryview(_write(self._columns.schema.empty_table(), self._options)))
            content = bytes(footer)
        self._file.write(content + len(content).to_bytes(4, "little") + _MAGIC)


def _find_options(columns: Columns) -> dict[str, Any]:
    """Return how pyarrow writes the columns: with compression, dictionaries and statistics, or without."""
    schema = pq.ParquetFile(io.BytesIO(_write(columns.schema.empty_table(), {}))).schema
    paths = [schema.column(index).path for index in range(len(schema.names))]
    prefix = columns.embedding + "."
    others = [path for path in paths if not path.startswith(prefix)]
    return {
        "compression": {path: "zstd" if path in others else "none" for path in paths},
        "use_dictionary": others,
        "write_statistics": others,
    }


def _write(table: Any, options: dict[str, Any]) -> Any:
    """Return a Parquet file with one row group."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, table.schema, **options) as writer:
        if len(table):
            writer.write_table(table, row_group_size=len(table))
    return sink.getvalue()


def _split(content: memoryview) -> tuple[memoryview, memoryview]:
    """Return the row groups and the footer of a Parquet file."""
    size = int.from_bytes(content[-8:-4], "little")
    return content[len(_MAGIC) : -8 - size], content[-8 - size : -8]
