"""Columns of vectors and of texts in Parquet and Arrow files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pyarrow.types as types

from portvec._bulk.arrow import EMBEDDING, TEXT, is_text
from portvec._bulk.provenance import Provenance
from portvec._bulk.vectors import BLOCK, check_dim
from portvec._failures import failures_become
from portvec.errors import FileError

if TYPE_CHECKING:
    import numpy.typing as npt

_MAGIC: Final = b"ARROW1"  # of an Arrow file; a stream has none
_TEXTS: Final = 1024  # texts read at a time
_BUFFER: Final = 1 << 20  # bytes of Parquet read at a time, instead of a whole row group


def open_columns(path: Path, field: str | None, vector_field: str | None) -> ColumnFile:
    """Open a .parquet or .arrow file of vectors.

    Args:
        path: where it is.
        field: the column of texts; by default the one that the file names, or "text", if there is one.
        vector_field: the column of vectors; by default the one that the file names, or "embedding".

    Raises:
        FileError: the file cannot be read, or lacks a column.
    """
    with _reading(path):
        file = _ParquetFile(path) if path.suffix.lower() == ".parquet" else _open_arrow(path)
        file.made = Provenance.read(file.schema.metadata)
    file.choose(field, vector_field)
    return file


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    def describe(reason: str) -> FileError:
        kind = "Parquet" if path.suffix.lower() == ".parquet" else "Arrow"
        remedy = ""
        if reason.startswith("Expected all lists to be of size"):
            remedy = "; upgrade pyarrow: 26 is the first that reads null vectors of fixed size"
        return FileError(f"{path}: cannot be read as {kind} ({reason}){remedy}")

    with failures_become(describe):
        try:
            yield
        except pa.ArrowMemoryError as error:  # sizes in a damaged file may be anything
            raise FileError(f"{path}: is damaged, or a part of it does not fit memory ({error})") from error


class ColumnFile:
    """A file of columns, one of vectors and perhaps one of texts.

    Attributes:
        path: where it is.
        schema: its pyarrow.Schema.
        made: what it says about the model; None if it says nothing.
    """

    path: Path
    schema: Any
    made: Provenance | None
    _text: str | None
    _vector: str

    def choose(self, field: str | None, vector_field: str | None) -> None:
        """Set the columns; None for those that the file names.

        Raises:
            FileError: there is no such column, or it holds something else.
        """
        self._text = field or (self.made.text if self.made else TEXT)
        self._vector = vector_field or (self.made.embedding if self.made else EMBEDDING)
        kind = self._type(self._vector, "vector_field")
        if not _is_vector(kind):
            raise FileError(
                f"{self.path}: the column {self._vector!r} is {kind}, expected lists of float or halffloat; "
                "give another vector_field=..."
            )
        if field is not None and not is_text(self._type(field, "field")):
            raise FileError(
                f"{self.path}: the column {field!r} is {self._type(field, 'field')}, expected string; give "
                "another field=..."
            )
        if self.schema.names.count(self._text) != 1 or not is_text(self.schema.field(self._text).type):
            self._text = None  # nobody asked for it

    def vectors(self, dim: int) -> Iterator[npt.NDArray[np.float32]]:
        """Yield blocks of rows. A vector that is null is a row of zeros."""
        kind = self.schema.field(self._vector).type
        if types.is_fixed_size_list(kind):
            check_dim(self.path, kind.list_size, dim)
        step = max(1, BLOCK // dim)
        with _reading(self.path):
            for first, array in self.arrays(self._vector, step):
                for start in range(0, len(array), step):
                    yield self._rows(array.slice(start, step), first + start, dim)

    def texts(self, rows: Sequence[int]) -> list[str | None]:
        """Return the texts of some rows, which ascend; None for each if there is no column of texts."""
        if self._text is None:
            return [None] * len(rows)
        found = []
        with _reading(self.path):
            for first, array in self.arrays(self._text, _TEXTS, rows):
                for row in rows:
                    if first <= row < first + len(array):
                        value = array.slice(row - first, 1)
                        value.validate(full=True)
                        found.append(value[0].as_py())
        return found

    def arrays(self, name: str, step: int, rows: Sequence[int] | None = None) -> Iterator[tuple[int, Any]]:
        """Yield the arrays of a column, each with the number of its first row.

        Args:
            name: the column.
            step: rows to read at a time, where the format leaves a choice.
            rows: those that are needed; others may be left out.
        """
        raise NotImplementedError

    def _type(self, name: str, argument: str) -> Any:
        names = self.schema.names
        if names.count(name) != 1:
            problem = "no column" if name not in names else "more than one column"
            raise FileError(
                f"{self.path}: {problem} {name!r}, has {', '.join(names) or 'none'}; give another "
                f"{argument}=..."
            )
        return self.schema.field(name).type

    def _rows(self, array: Any, first: int, dim: int) -> npt.NDArray[np.float32]:
        array.validate(full=True)  # the offsets of lists, which whoever wrote the file may have set at will
        if not types.is_fixed_size_list(array.type):
            lengths = pc.list_value_length(array).fill_null(dim).to_numpy(zero_copy_only=False)
            if (lengths != dim).any():
                check_dim(self.path, int(lengths[(lengths != dim).argmax()]), dim)
        values = array.flatten()  # without lists that are null
        if values.null_count:
            raise FileError(
                f"{self.path}: a vector in the rows {first} to {first + len(array) - 1} holds null; correct "
                "it, or embed the text again"
            )
        found: npt.NDArray[np.float32]
        found = values.to_numpy(zero_copy_only=False).reshape(-1, dim).astype(np.float32, copy=False)
        if not array.null_count:
            return found
        rows = np.zeros((len(array), dim), dtype=np.float32)
        rows[array.is_valid().to_numpy(zero_copy_only=False)] = found
        return rows


def _is_vector(kind: Any) -> bool:
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(is_list and (types.is_float32(kind.value_type) or types.is_float16(kind.value_type)))


class _ParquetFile(ColumnFile):
    """A Parquet file, read by batches."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as file:
            self.schema = file.schema_arrow

    def _open(self) -> Any:
        return pq.ParquetFile(self.path, buffer_size=_BUFFER, pre_buffer=False)

    def arrays(self, name: str, step: int, rows: Sequence[int] | None = None) -> Iterator[tuple[int, Any]]:
        """Read the row groups that are needed."""
        with self._open() as file:
            first = 0
            for group in range(file.num_row_groups):
                start, first = first, first + file.metadata.row_group(group).num_rows
                if rows is not None and not any(start <= row < first for row in rows):
                    continue
                for batch in file.iter_batches(step, row_groups=[group], columns=[name], use_threads=False):
                    yield start, batch.column(name)
                    start += len(batch)


class _ArrowFile(ColumnFile):
    """An Arrow file or stream, mapped: without compression, its numbers are not copied."""

    def __init__(self, path: Path, open_reader: Any) -> None:
        self.path = path
        self._open_reader = open_reader
        with pa.memory_map(str(path)) as source:
            whole = source.read_buffer()
            reader = open_reader(whole)
            self.schema = reader.schema
            first = next(_batches(reader), None)
            self._is_mapped = first is not None and all(
                whole.address <= buffer.address < whole.address + whole.size
                for column in first.columns
                for buffer in column.buffers()
                if buffer is not None and buffer.size
            )

    def arrays(self, name: str, step: int, rows: Sequence[int] | None = None) -> Iterator[tuple[int, Any]]:
        """Map the column, or decompress it."""
        options = None
        if not self._is_mapped:  # to choose columns copies them
            options = ipc.IpcReadOptions(included_fields=[self.schema.get_field_index(name)])
        start = 0
        with pa.memory_map(str(self.path)) as source:
            for batch in _batches(self._open_reader(source, options=options)):
                yield start, batch.column(name)
                start += len(batch)


def _batches(reader: Any) -> Iterator[Any]:
    """Return the batches of a file or stream."""
    if hasattr(reader, "num_record_batches"):
        return map(reader.get_batch, range(reader.num_record_batches))
    return iter(reader)


def _open_arrow(path: Path) -> _ArrowFile:
    with path.open("rb") as file:
        is_file = file.read(len(_MAGIC)) == _MAGIC
    return _ArrowFile(path, ipc.open_file if is_file else ipc.open_stream)
