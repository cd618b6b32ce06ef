"""The footer of a Parquet file, as far as moving row groups takes.

It is a FileMetaData of https://github.com/apache/parquet-format (parquet.thrift), in Thrift's compact
protocol: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md. pyarrow reads and
writes footers, but cannot move what they describe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

_Path = tuple[int, ...]

# Fields of FileMetaData.
_NUM_ROWS, _ROW_GROUPS = 3, 4
# The offsets in a file, as paths of field ids: those of a row group, of its column chunks with their indexes,
# and of pages and bloom filters in the metadata of a column chunk.
_OFFSETS = {(4, 5), (4, 1, 2), (4, 1, 4), (4, 1, 6), *((4, 1, 3, field) for field in (9, 10, 11, 14))}

# Types of the compact protocol.
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _STRUCT = 0, 1, 2, 3, 7, 8, 9, 12
_INTEGERS = (4, 5, 6)
_LONG_LIST = 15  # the number of elements follows


def shift(footer: bytes, distance: int) -> bytes:
    """Return the footer of a file in which all row groups are `distance` bytes further on."""

    def edit(path: _Path, value: int) -> int:
        # 0 stands for no offset, in fields that are no longer used.
        return value + distance if value and path in _OFFSETS else value

    return _join(_Walk(footer, edit).fields(()))


def merge(footers: list[bytes]) -> bytes:
    """Return the footer of a file that has the row groups of all. Its schema is that of the first."""
    rows = 0
    groups = []
    for footer in footers:
        fields = {field: value for field, _, value in _Walk(footer).fields(())}
        rows += _Walk(fields[_NUM_ROWS]).integer()
        count, elements = _Walk(fields[_ROW_GROUPS]).elements()
        assert count == 1
        groups.append(elements)
    replaced = {
        _NUM_ROWS: _encode_integer(rows),
        _ROW_GROUPS: bytes([_LONG_LIST << 4 | _STRUCT]) + _encode_varint(len(groups)) + b"".join(groups),
    }
    return _join(
        (field, header, replaced.get(field, value)) for field, header, value in _Walk(footers[0]).fields(())
    )


def _join(fields: Iterator[tuple[int, bytes, bytes]]) -> bytes:
    return b"".join(header + value for _, header, value in fields) + bytes([_STOP])


class _Walk:
    """Reads values one after the other, and returns them as they were written but for edited integers."""

    def __init__(self, content: bytes, edit: Callable[[_Path, int], int] = lambda _, value: value) -> None:
        self._content = content
        self._at = 0
        self._edit = edit

    def fields(self, path: _Path) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield the id, the header and the value of each field of a struct."""
        field = 0
        while True:
            start = self._at
            head = self._byte()
            if head == _STOP:
                return
            field = field + (head >> 4) if head >> 4 else self.integer()
            header = self._content[start : self._at]
            yield field, header, self._value(head & 15, (*path, field))

    def elements(self) -> tuple[int, bytes]:
        """Return the number of elements of a list, and the elements."""
        head = self._byte()
        count = self._varint() if head >> 4 == _LONG_LIST else head >> 4
        return count, self._content[self._at :]

    def integer(self) -> int:
        """Return an integer, in the encoding that gives those near 0 few bytes."""
        number = self._varint()
        return number >> 1 ^ -(number & 1)

    def _value(self, kind: int, path: _Path) -> bytes:
        start = self._at
        if kind in _INTEGERS:
            return _encode_integer(self._edit(path, self.integer()))
        if kind == _STRUCT:
            return _join(self.fields(path))
        if kind == _LIST:
            head = self._byte()
            count = self._varint() if head >> 4 == _LONG_LIST else head >> 4
            header = self._content[start : self._at]
            # A bool has a byte of its own in a list. In a struct, it is in the header of its field.
            element = _BYTE if head & 15 in (_TRUE, _FALSE) else head & 15
            return header + b"".join(self._value(element, path) for _ in range(count))
        if kind == _BINARY:
            size = self._varint()
            self._at += size
        elif kind in (_BYTE, _DOUBLE):
            self._at += 1 if kind == _BYTE else 8
        elif kind not in (_TRUE, _FALSE):
            raise ValueError(f"a field of type {kind}, which the footer of a Parquet file does not have")
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


def _encode_integer(value: int) -> bytes:
    return _encode_varint(value << 1 if value >= 0 else (-value << 1) - 1)


def _encode_varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
