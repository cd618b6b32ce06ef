"""What a source of texts is, whatever its format: rows in order, in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn, Protocol

from portvec.errors import FileError

# The most rows and characters of a block. A row with more characters is a block of its own.
MOST_ROWS: Final = 4096
MOST_CHARACTERS: Final = 4_000_000


class BadRow(NamedTuple):
    """A row that cannot be embedded.

    Attributes:
        file: its file.
        line: line of the file in which the row begins, from 1. In a Parquet or Arrow file, the row.
        reason: what is wrong, and what to do.
        unit: "line", or "row" in a Parquet or Arrow file.
    """

    file: str
    line: int
    reason: str
    unit: str = "line"

    def message(self) -> str:
        """Return "FILE, line N: REASON"."""
        return f"{self.file}, {self.unit} {self.line}: {self.reason}"


Report = Callable[[BadRow], None]


def fail(bad: BadRow) -> NoReturn:
    """Stop at a row that cannot be embedded.

    Raises:
        FileError: always.
    """
    raise FileError(bad.message())


class Block(Protocol):
    """A few rows in order."""

    @property
    def texts(self) -> list[str]:
        """The text of each row."""

    def __len__(self) -> int: ...

    @property
    def size(self) -> int:
        """How much memory the rows take, roughly: their characters, or their bytes in Arrow."""

    def cut(self, start: int, stop: int) -> Block:
        """Return the rows from `start` to `stop`, as a slice does."""

    def json_rows(self) -> Iterator[str]:
        """Yield each row as a JSON object on one line, without the line end. It is safe to print."""

    def record_batch(self, schema: Any) -> Any:
        """Return the rows as a pyarrow.RecordBatch. `schema` is that of the source."""


class Source(Protocol):
    """Texts and what stands beside them.

    Attributes:
        name: the path as it was given, for messages.
        files: the files, in the order in which they are read.
        format: how they are read, such as "jsonl".
        text: name of the column of texts.
        rows: how many rows there are, if that is cheap to know. Bad rows count.
        size: bytes of all files.
    """

    name: str
    files: tuple[Path, ...]
    format: str
    text: str
    rows: int | None
    size: int

    @property
    def bytes_read(self) -> int:
        """How many bytes of `size` the pass that yields rows has read. Another thread may ask."""

    def schema(self) -> Any:
        """Return the pyarrow.Schema of all columns. For JSON Lines, this reads all rows.

        Raises:
            MissingExtraError: pyarrow is not installed.
            FileError: a file cannot be read, or its rows have no common schema.
        """

    def read(self, report: Report) -> Iterator[Block]:
        """Yield the rows in blocks of at most 4,096 rows and about 4 MB.

        Which rows are in which block depends on the content only.

        Args:
            report: is called for each row that cannot be embedded. If it returns, the row is left out.

        Raises:
            FileError: a file cannot be read, or its columns are not as expected.
        """


def read_texts(source: Source) -> Iterator[str]:
    """Yield the texts of a source one by one.

    Raises:
        FileError: a file cannot be read, or a row cannot be embedded.
    """
    for block in source.read(fail):
        yield from block.texts
