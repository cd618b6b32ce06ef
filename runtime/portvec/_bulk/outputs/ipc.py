"""Rows as an Arrow IPC file, which readers can map. Each part is a record batch."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from portvec._bulk.outputs.tables import Columns, arrow_errors
from portvec._bulk.parts import Part
from portvec.errors import FileError

if TYPE_CHECKING:
    import numpy.typing as npt

_MAGIC_BYTES = 8  # "ARROW1" and padding, before the stream of record batches


class IpcWriter:
    """Writes a .arrow file.

    The footer holds where each record batch is. To go on with a file, the batches that are in it are written
    again to where nothing is kept, so that pyarrow knows them. They are mapped, and not read for that.
    """

    def __init__(self, file: IO[bytes], notes: list[Any], *, columns: Columns) -> None:
        self._columns = columns
        self._sink = _Sink(file, skip=file.tell())
        self._writer = pa.ipc.new_file(pa.PythonFile(self._sink, "w"), columns.schema)
        if notes:
            with pa.memory_map(file.name) as written:
                written.seek(_MAGIC_BYTES)
                stream = pa.ipc.open_stream(written)
                for _ in range(sum(notes)):
                    self._writer.write_batch(stream.read_next_batch())
        if self._sink.position != file.tell():
            raise FileError(
                f"{file.name}: was written by another version of pyarrow, so this one cannot go on with it; "
                "remove its folder, and begin again"
            )

    def write(self, part: Part, embeddings: npt.NDArray[np.float32]) -> int:
        """Append a part, as a rule in one record batch. The note is the number of batches."""
        batches = self._columns.table(part, embeddings).to_batches()
        with arrow_errors():
            for batch in batches:
                self._writer.write_batch(batch)
        return len(batches)

    def finish(self) -> None:
        """Write the footer."""
        self._writer.close()


class _Sink(io.RawIOBase):
    """A file that gets all but the first `skip` bytes of what is written here."""

    def __init__(self, file: IO[bytes], skip: int) -> None:
        self._file = file
        self._skip = skip
        self.position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        kept = view[max(self._skip - self.position, 0) :]
        if kept:
            self._file.write(kept)
        self.position += len(view)
        return len(view)
