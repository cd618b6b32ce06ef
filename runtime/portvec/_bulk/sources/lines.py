"""Lines of UTF-8: where they end, and which are not text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

# A longer line is a file of another kind. It is not held in memory.
MOST_BYTES: Final = 64 << 20
_MARK: Final = b"\xef\xbb\xbf"


class Lines(NamedTuple):
    """Lines that follow one another.

    Attributes:
        number: number of the first, from 1.
        texts: the lines.
        faults: index of each line that is not text, and why. Its text is of no use.
    """

    number: int
    texts: list[str]
    faults: dict[int, str]


def read_lines(chunks: Iterable[bytes], *, keep_ends: bool = False) -> Iterator[Lines]:
    r"""Yield the lines of a file. They end with \n, \r\n or \r. A byte order mark is left out."""
    number = 1
    too_long = False  # the bytes that are held are what follows the beginning of a long line
    held = bytearray()
    for chunk in _with_end(chunks):
        known = len(held)
        if chunk is None:
            end = known
        else:
            held += chunk
            # A \r at the end may be half a line end.
            start = max(known - 1, 0)
            end = max(held.rfind(b"\n", start), held.rfind(b"\r", start, len(held) - 1)) + 1
        if not end:
            if len(held) > MOST_BYTES + 1:
                too_long = True
                del held[:-1]
            continue
        whole = bytes(held[:end])
        del held[:end]
        lines = (whole.removeprefix(_MARK) if number == 1 else whole).splitlines(keep_ends)
        if not lines:  # the file is a byte order mark
            return
        yield _decode(number, lines, too_long or len(lines[0]) > MOST_BYTES)
        number += len(lines)
        too_long = False


def _with_end(chunks: Iterable[bytes]) -> Iterator[bytes | None]:
    yield from chunks
    yield None


def _decode(number: int, lines: list[bytes], too_long: bool) -> Lines:
    faults: dict[int, str] = {}
    if too_long:
        faults[0] = f"longer than {MOST_BYTES >> 20} MiB; break the line"
        lines[0] = b""
    try:
        texts = [line.decode() for line in lines]
    except UnicodeDecodeError:
        texts = [_decode_line(line, index, faults) for index, line in enumerate(lines)]
    return Lines(number, texts, faults)


def _decode_line(line: bytes, index: int, faults: dict[int, str]) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        column = len(line[: error.start].decode()) + 1
        faults[index] = f"not UTF-8 (byte 0x{line[error.start]:02X} at column {column}); convert it to UTF-8"
        return line.decode(errors="replace")
