"""The bytes of text files and streams: decompressed, in chunks, and counted as they are read."""

from __future__ import annotations

import gzip
import io
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from portvec._bulk.sources.extra import import_pyarrow
from portvec.errors import FileError

_CHUNK: Final = 1 << 20


class Input(ABC):
    """A file or stream of text.

    Attributes:
        name: its name in messages.
        path: the file, or None.
        size: its bytes; 0 if unknown.
        bytes_read: how many were read so far.
        repeatable: whether it can be read more than once.
    """

    name: str
    path: Path | None = None
    size: int = 0
    bytes_read: int = 0
    repeatable: bool = False

    @abstractmethod
    def chunks(self) -> Iterator[bytes]:
        """Yield its bytes, decompressed, at most 1 MiB at a time.

        Raises:
            FileError: it cannot be read.
        """


class FileInput(Input):
    """A file, maybe a compressed one. A pipe or device is read like a file, but only once.

    Raises:
        MissingExtraError: it is compressed with zstd, and pyarrow is not installed.
        FileError: it is not there.
    """

    def __init__(self, path: Path, compression: str | None) -> None:
        self.name = str(path)
        self._path = self.path = path
        self._compression = compression
        if compression == "zstd":
            import_pyarrow(f"{path}: a .zst file")
        with self._reading():
            self.repeatable = path.is_file()
            self.size = path.stat().st_size

    def chunks(self) -> Iterator[bytes]:
        """Yield its bytes, decompressed."""
        self.bytes_read = 0
        with ExitStack() as stack:
            with self._reading():
                counted = _Counted(self, stack.enter_context(self._path.open("rb", buffering=0)))
                file = stack.enter_context(self._decompress(counted))
            while chunk := self._read(file):
                yield chunk
        if self._compression and not self.bytes_read:
            raise self._damaged("it is empty")

    def _decompress(self, counted: _Counted) -> Any:
        if self._compression == "gzip":
            return gzip.GzipFile(fileobj=io.BufferedReader(counted, _CHUNK))
        if self._compression == "zstd":
            pyarrow = import_pyarrow(self.name)
            return pyarrow.CompressedInputStream(pyarrow.PythonFile(counted, mode="r"), "zstd")
        return counted

    def _read(self, file: Any) -> bytes:
        with self._reading():
            chunk: bytes = file.read(_CHUNK)
        return chunk

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if self._compression and error.errno is None:
                raise self._damaged(str(error)) from error
            raise _unreadable(self.name, error) from error
        except (EOFError, zlib.error) as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, reason: str) -> FileError:
        return FileError(
            f"{self.name}: not a {self._compression} file that is complete ({' '.join(reason.split())}); "
            "make it again"
        )


class StreamInput(Input):
    """A stream that is open, such as standard input. It is not closed."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self._file = file

    def chunks(self) -> Iterator[bytes]:
        """Yield its bytes."""
        counted = _Counted(self, self._file)
        while True:
            try:
                chunk = counted.read(_CHUNK)
            except OSError as error:
                raise _unreadable(self.name, error) from error
            if not chunk:
                break
            yield chunk


def _unreadable(name: str, error: OSError) -> FileError:
    return FileError(f"{name}: cannot be read ({error.strerror or error})")


class _Counted(io.RawIOBase):
    """Passes on the bytes of a file, and counts them."""

    def __init__(self, owner: Input, file: Any) -> None:
        self._owner = owner
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self._file.readinto(buffer)
        self._owner.bytes_read += count
        return count
