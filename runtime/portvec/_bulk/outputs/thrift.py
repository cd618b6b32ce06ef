"""Thrift's compact protocol, as far as the metadata of Parquet files takes.

https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

# Field ids from an outer struct to a value. An element of a list has the path of the list.
Path: TypeAlias = "tuple[int, ...]"
# A field: its id, its header, and its value, as they are written.
Field: TypeAlias = "tuple[int, bytes, bytes]"

I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12
_STOP, _TRUE, _FALSE, _BYTE, _I16, _DOUBLE = 0, 1, 2, 3, 4, 7
_LONG = 15  # in place of a number of elements, which follows


class Walk:
    """Reads values one after the other, and returns them as they were written but for edited integers."""

    def __init__(self, content: bytes, edit: Callable[[Path, int], int] = lambda _, value: value) -> None:
        self._content = content
        self._at = 0
        self._edit = edit

    def fields(self, path: Path = ()) -> Iterator[Field]:
        """Yield the fields of a struct, whose own path is `path`."""
        field = 0
        while True:
            start = self._at
            head = self._byte()
            if head == _STOP:
                return
            field = field + (head >> 4) if head >> 4 else self.integer()
            header = self._content[start : self._at]
            yield field, header, self.value(head & 15, (*path, field))

    def integer(self) -> int:
        """Return an integer. Those near 0 take few bytes, whatever their sign."""
        number = self._varint()
        return number >> 1 ^ -(number & 1)

    def list_header(self) -> tuple[int, int]:
        """Return the number of elements of a list, and their type."""
        head = self._byte()
        count = self._varint() if head >> 4 == _LONG else head >> 4
        # A bool has a byte of its own in a list. In a struct, it is in the header of its field.
        return count, _BYTE if head & 15 in (_TRUE, _FALSE) else head & 15

    def value(self, kind: int, path: Path = ()) -> bytes:
        """Return a value of the type `kind`."""
        start = self._at
        if kind in (_I16, I32, I64):
            return encode_integer(self._edit(path, self.integer()))
        if kind == STRUCT:
            return join(self.fields(path))
        if kind == LIST:
            count, element = self.list_header()
            header = self._content[start : self._at]
            return header + b"".join(self.value(element, path) for _ in range(count))
        if kind == BINARY:
            size = self._varint()
            self._at += size
        elif kind in (_BYTE, _DOUBLE):
            self._at += 1 if kind == _BYTE else 8
        elif kind not in (_TRUE, _FALSE):
            raise ValueError(f"a field of type {kind}, which the metadata of Parquet files does not have")
        return self._content[start : self._at]

    def _byte(self) -> int:
        self._at += 1
        return self._content[self._at - 1]

    def _varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number


def read_list(value: bytes) -> list[bytes]:
    """Return the elements of a list."""
    walk = Walk(value)
    count, kind = walk.list_header()
    return [walk.value(kind) for _ in range(count)]


def join(fields: Iterable[Field]) -> bytes:
    """Return a struct."""
    return b"".join(header + value for _, header, value in fields) + bytes([_STOP])


def encode_struct(*fields: tuple[int, int, bytes]) -> bytes:
    """Return a struct of fields: the id, the type and the value of each. Ids are less than 16 apart."""
    out = bytearray()
    last = 0
    for field, kind, value in fields:
        out += bytes([field - last << 4 | kind]) + value
        last = field
    return bytes(out) + bytes([_STOP])


def encode_list(elements: list[bytes], kind: int = STRUCT) -> bytes:
    """Return a list of elements of one type."""
    count = len(elements)
    header = (
        bytes([count << 4 | kind]) if count < _LONG else bytes([_LONG << 4 | kind]) + encode_varint(count)
    )
    return header + b"".join(elements)


def encode_integer(value: int) -> bytes:
    """Return an integer of any size."""
    return encode_varint(value << 1 if value >= 0 else (-value << 1) - 1)


def encode_binary(value: bytes) -> bytes:
    """Return a string of bytes."""
    return encode_varint(len(value)) + value


def encode_varint(number: int) -> bytes:
    """Return a number from 0 in groups of 7 bits, the lowest first."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
