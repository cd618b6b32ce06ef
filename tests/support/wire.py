"""protobuf's wire format, written in ways in which no serializer writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from hypothesis import strategies as st


class Piece(NamedTuple):
    """A field: its number, its wire type, and the bytes after its key."""

    number: int
    wire_type: int
    rest: bytes

    def to_bytes(self) -> bytes:
        return varint(self.number << 3 | self.wire_type) + self.rest


def varint(value: int, padding: int = 0) -> bytes:
    """Return a number, with bytes at its end that add nothing."""
    content = bytearray()
    while value >= 0x80:
        content.append(value & 0x7F | 0x80)
        value >>= 7
    content.append(value)
    for _ in range(padding):
        content[-1] |= 0x80
        content.append(0)
    return bytes(content)


def sized(content: bytes, padding: int = 0) -> bytes:
    """Return what follows the key of a field with this content."""
    return varint(len(content), padding) + content


def split(message: bytes) -> Iterator[Piece]:
    """Yield the fields of a message that onnx's serializer wrote."""
    position = 0

    def read() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(message):
        key = read()
        start = position
        if key & 7 == 2:
            size = read()
            position += size
        elif key & 7 == 0:
            read()
        else:
            position += 4 if key & 7 == 5 else 8
        yield Piece(key >> 3, key & 7, message[start:position])


def content_of(piece: Piece) -> bytes:
    """Return the content of a field that has a size."""
    rest = piece.rest
    start = next(index for index, byte in enumerate(rest) if byte < 0x80) + 1
    return rest[start:]


def _twice(piece: Piece) -> bytes:
    return piece.to_bytes() * 2


def _long_key(piece: Piece) -> bytes:
    return varint(piece.number << 3 | piece.wire_type, 1) + piece.rest


def _key_beyond_32_bits(piece: Piece) -> bytes:
    return varint(1 << 32 | piece.number << 3 | piece.wire_type) + piece.rest


def _long_size(piece: Piece) -> bytes:
    if piece.wire_type != 2:
        return piece.to_bytes()[:-1] + bytes([piece.rest[-1] | 0x80, 0])
    return varint(piece.number << 3 | 2) + sized(content_of(piece), 2)


def _in_two(piece: Piece) -> bytes:
    """Split a message into two fields, which parsers merge."""
    if piece.wire_type != 2:
        return _twice(piece)
    content, key = content_of(piece), varint(piece.number << 3 | 2)
    try:
        *first, last = split(content)
    except (IndexError, ValueError):
        return _twice(piece)
    return key + sized(b"".join(each.to_bytes() for each in first)) + key + sized(last.to_bytes())


def _as_group(piece: Piece) -> bytes:
    content = content_of(piece) if piece.wire_type == 2 else b""
    return varint(piece.number << 3 | 3) + content + varint(piece.number << 3 | 4)


def _other_wire_type(piece: Piece) -> bytes:
    return varint(piece.number << 3 | (piece.wire_type ^ 2)) + piece.rest


def _dropped(piece: Piece) -> bytes:
    return b""


def _unknown_before(piece: Piece) -> bytes:
    return Piece(99, 2, sized(b"x")).to_bytes() + piece.to_bytes()


def _other_number(piece: Piece) -> bytes:
    return piece._replace(number=piece.number ^ 1 or 1).to_bytes()


DISGUISES: dict[str, Callable[[Piece], bytes]] = {
    "twice": _twice,
    "a key that is longer than needed": _long_key,
    "a key beyond 32 bits": _key_beyond_32_bits,
    "a size that is longer than needed": _long_size,
    "in two fields": _in_two,
    "as a group": _as_group,
    "in another wire type": _other_wire_type,
    "dropped": _dropped,
    "after an unknown field": _unknown_before,
    "under another number": _other_number,
}


@st.composite
def changed(draw: st.DrawFn, message: bytes, descriptor: Any) -> bytes:
    """Change a message of onnx somewhere in its tree: the form or order of its fields, or a byte of one."""
    pieces = list(split(message))
    if not pieces:
        return message
    index = draw(st.integers(0, len(pieces) - 1))
    piece = pieces[index]
    known = descriptor.fields_by_number.get(piece.number)
    inner = known.message_type if known is not None and piece.wire_type == 2 else None
    if inner is not None and draw(st.integers(0, 3)):
        written = Piece(piece.number, 2, sized(draw(changed(content_of(piece), inner)))).to_bytes()
    else:
        how = draw(st.sampled_from(["disguise", "order", "bytes"]))
        if how == "order":
            other = draw(st.integers(0, len(pieces) - 1))
            pieces[index], pieces[other] = pieces[other], pieces[index]
            written = pieces[index].to_bytes()
        elif how == "bytes" and piece.wire_type == 2:
            content = bytearray(content_of(piece))
            if content:
                content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
            written = Piece(piece.number, 2, sized(bytes(content))).to_bytes()
        else:
            written = DISGUISES[draw(st.sampled_from(sorted(DISGUISES)))](piece)
    return b"".join(
        [*(p.to_bytes() for p in pieces[:index]), written, *(p.to_bytes() for p in pieces[index + 1 :])]
    )
