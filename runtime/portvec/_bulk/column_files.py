"""Parquet and Arrow files, read by batches. Import this module when pyarrow is known to be there.

Anybody may have made the files. Whatever pyarrow says about one becomes an error that names the file. pyarrow
does not check the values in a batch: validate those that you use.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pyarrow.types as types

from portvec._failures import failures_become
from portvec.errors import FileError

_BUFFER: Final = 1 << 20  # bytes of Parquet read at a time
_BATCH: Final = 32 << 20  # bytes of a row group decoded at a time
_MAGIC: Final = b"ARROW1"  # how an Arrow file begins; a stream has none


class Batch(NamedTuple):
    """Rows that follow each other in a file.

    Attributes:
        first: number of the first row in the file, from 0.
        rows: a pyarrow.RecordBatch.
        position: bytes of the file up to the end of the rows.
    """

    first: int
    rows: Any
    position: int


def open_column_file(path: Path, format: str) -> ColumnFile:
    """Open a Parquet or Arrow file.

    Args:
        path: where it is.
        format: "parquet", or "arrow" for the file format and the stream format.

    Raises:
        FileError: the file cannot be read.
    """
    return _ParquetFile(path) if format == "parquet" else _ArrowFile(path)


class ColumnFile(ABC):
    """A Parquet or Arrow file.

    Attributes:
        path: where it is.
        size: its bytes.
        schema: its pyarrow.Schema.
        names: the names of its columns, of which some may be equal.
    """

    _format: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self._magic = file.read(len(_MAGIC))
            self.size = path.stat().st_size
        except OSError as error:
            raise FileError(f"{path}: cannot be read ({error.strerror or error})") from error
        with self.reading():
            self.schema = self._open()
            self.names: list[str] = self.schema.names  # decodes them

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Give a failure of pyarrow the name of the file.

        Raises:
            FileError: something failed.
        """

        def describe(reason: str) -> FileError:
            remedy = "make it again"
            is_old = int(pa.__version__.partition(".")[0]) < 26
            if reason.startswith("Expected all lists to be of size") and is_old:
                remedy = "upgrade pyarrow: 26 is the first that reads null vectors of fixed size"
            return FileError(f"{self.path}: cannot be read as {self._format} ({reason}); {remedy}")

        with failures_become(describe):
            try:
                yield
            except pa.ArrowMemoryError as error:  # sizes in a damaged file may be anything
                raise FileError(
                    f"{self.path}: is damaged, or a part of it does not fit memory ({error}); make it again, "
                    "in smaller parts"
                ) from error

    @abstractmethod
    def count_rows(self) -> int | None:
        """Return how many rows there are; None if only reading all of them would tell.

        Raises:
            FileError: the file cannot be read.
        """

    def batches(
        self, most: int, columns: Sequence[str] | None = None, needed: Sequence[int] | None = None
    ) -> Iterator[Batch]:
        """Yield the rows.

        Args:
            most: rows to read at a time, where the format leaves a choice.
            columns: the columns to read, by names that no other column has; all by default.
            needed: numbers of rows, which ascend. Row groups that have none of them are left out.

        Raises:
            FileError: the file cannot be read.
        """
        with self.reading():
            for first, rows, position in self._batches(most, columns, needed):
                yield Batch(first, rows if columns is None else rows.select(columns), position)

    @abstractmethod
    def _open(self) -> Any:
        """Return the schema."""

    @abstractmethod
    def _batches(
        self, most: int, columns: Sequence[str] | None, needed: Sequence[int] | None
    ) -> Iterator[Batch]:
        """Yield the rows, perhaps with further columns."""


class _ParquetFile(ColumnFile):
    """A Parquet file, read page by page. A row group may not fit memory."""

    _format = "Parquet"

    def count_rows(self) -> int:
        return sum(self._counts)

    def _open(self) -> Any:
        with self._file() as file:
            facts = file.metadata
            self._counts = [facts.row_group(group).num_rows for group in range(facts.num_row_groups)]
            return file.schema_arrow

    def _batches(
        self, most: int, columns: Sequence[str] | None, needed: Sequence[int] | None
    ) -> Iterator[Batch]:
        total = self.count_rows()
        with self._file() as file:
            for group, (first, end) in enumerate(pairwise([0, *accumulate(self._counts)])):
                if needed is not None and bisect_left(needed, first) == bisect_left(needed, end):
                    continue
                size = (end - first) * _BATCH // max(file.metadata.row_group(group).total_byte_size, 1)
                for rows in file.iter_batches(
                    max(1, min(size, most)), row_groups=[group], columns=columns, use_threads=False
                ):
                    start, first = first, first + len(rows)
                    yield Batch(start, rows, self.size * first // total)

    def _file(self) -> Any:
        return pq.ParquetFile(self.path, buffer_size=_BUFFER, pre_buffer=False)


class _ArrowFile(ColumnFile):
    """An Arrow file or stream, mapped: columns that are not compressed stay where they are."""

    _format = "Arrow"

    def count_rows(self) -> int | None:
        """Of compressed columns, only a narrow one is decompressed."""
        if self._is_stream:
            return None
        narrow = [index for index, field in enumerate(self.schema) if types.is_primitive(field.type)]
        with self.reading(), self._map() as file:
            return sum(len(rows) for rows, _ in self._read(file, narrow[:1]))

    def _open(self) -> Any:
        self._is_stream = self._magic != _MAGIC
        with self._map() as file:
            return (ipc.open_stream if self._is_stream else ipc.open_file)(file).schema

    def _batches(
        self, most: int, columns: Sequence[str] | None, needed: Sequence[int] | None
    ) -> Iterator[Batch]:
        chosen: list[int] = []
        if columns is not None and not self._is_mapped:  # to choose columns copies them
            chosen = [self.schema.get_field_index(name) for name in columns]
        first = 0
        with self._map() as file:
            for rows, position in self._read(file, chosen):
                yield Batch(first, rows, position)
                first += len(rows)

    @cached_property
    def _is_mapped(self) -> bool:
        """Whether a batch lies in the file as it is in memory."""
        with self._map() as file:
            whole = file.read_buffer()
            file.seek(0)
            first, _ = next(self._read(file), (None, 0))
            return first is not None and all(
                whole.address <= buffer.address < whole.address + whole.size
                for column in first.columns
                for buffer in column.buffers()
                if buffer is not None and buffer.size
            )

    def _map(self) -> Any:
        return pa.memory_map(str(self.path))

    def _read(self, file: Any, columns: Sequence[int] = ()) -> Iterator[tuple[Any, int]]:
        """Yield all batches, each with the bytes of the file up to its end. No columns stand for all."""
        options = ipc.IpcReadOptions(included_fields=list(columns))
        if self._is_stream:
            for rows in ipc.open_stream(file, options=options):
                yield rows, file.tell()
        else:
            reader = ipc.open_file(file, options=options)
            for index in range(reader.num_record_batches):
                yield reader.get_batch(index), self.size * (index + 1) // reader.num_record_batches
