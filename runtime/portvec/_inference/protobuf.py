"""Reading and writing protobuf messages of which every field is known.

Parsers of protobuf agree on messages as a serializer writes them. They are also lenient, each in its own way:
with numbers that are longer than needed, with fields that occur twice or have another type. So `decode`
refuses all that, and what it does not know. `encode` writes the message again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

# A message by the names of its fields: int for numbers, bytes for text, memoryview for data, Message for
# messages, and lists of these for repeated fields. Singular fields that a message lacks are left out.
Message: TypeAlias = "dict[str, Any]"

_VARINT, _SIZED, _LAST_WIRE_TYPE = 0, 2, 5
# A graph has a few hundred fields, and an artifact that is a single file has the table in one of them.
_MAX_FIELDS = 1 << 16
# Names have a few dozen bytes, and documentation a few hundred.
_MAX_TEXT = 1 << 12


class UnknownContentError(ValueError):
    """A message holds something that `decode` does not know. The text says what."""


class Field(NamedTuple):
    """A field of a message: a number (int64), text, data, or a message if it has a `schema`."""

    name: str
    is_number: bool = False
    is_data: bool = False
    repeated: bool = False
    schema: Schema | None = None


class Schema(NamedTuple):
    """The fields of a message by their numbers.

    Attributes:
        name: of the message, with an article.
        fields: fields that it may have.
        refused: what a field that it must not have would hold.
    """

    name: str
    fields: dict[int, Field]
    refused: Mapping[int, str] = MappingProxyType({})


def decode(data: memoryview, schema: Schema) -> Message:
    """Read a message.

    Raises:
        UnknownContentError: a field is unknown or not written as serializers write it, or there are too many.
        ValueError: this is not such a message.
    """
    return _Decoder().decode(data, schema)


class _Decoder:
    def __init__(self) -> None:
        self._fields = 0

    def decode(self, data: memoryview, schema: Schema) -> Message:
        message: Message = {each.name: [] for each in schema.fields.values() if each.repeated}
        position = 0
        while position < len(data):
            self._fields += 1
            if self._fields > _MAX_FIELDS:
                raise UnknownContentError(f"more than {_MAX_FIELDS:,} fields")
            key, position = _read_varint(data, position)
            number, wire_type = key >> 3, key & 7
            known = schema.fields.get(number)
            if known is None:
                if number == 0 or wire_type > _LAST_WIRE_TYPE:
                    raise ValueError("a field has a number or a type that does not exist")
                raise UnknownContentError(schema.refused.get(number, f"field {number} of {schema.name}"))
            if wire_type != (_VARINT if known.is_number else _SIZED):
                raise UnknownContentError(f"{known.name} of {schema.name} in wire type {wire_type}")
            value: Any
            value, position = _read_varint(data, position)
            if known.is_number:
                value -= (value >> 63) << 64
            else:
                start, position = position, position + value
                if position > len(data):
                    raise ValueError("a field reaches beyond its message")
                value = data[start:position]
                if known.schema is not None:
                    value = self.decode(value, known.schema)
                elif not known.is_data:
                    if len(value) > _MAX_TEXT:
                        raise UnknownContentError(f"{len(value):,} bytes as {known.name} of {schema.name}")
                    value = bytes(value)
            if known.repeated:
                message[known.name].append(value)
            elif known.name in message:
                raise UnknownContentError(f"{known.name} of {schema.name} twice")
            else:
                message[known.name] = value
        return message


def encode(message: Message, schema: Schema) -> bytes:
    """Write a message as protobuf's own serializers do, its fields in the order of their numbers."""
    return b"".join(_encode(message, schema))


def _encode(message: Message, schema: Schema) -> Iterable[bytes]:
    for number, known in sorted(schema.fields.items()):
        if known.name not in message:
            continue
        value = message[known.name]
        for each in value if known.repeated else [value]:
            yield _varint(number << 3 | (_VARINT if known.is_number else _SIZED))
            if known.is_number:
                yield _varint(each % (1 << 64))
                continue
            content = each if known.schema is None else encode(each, known.schema)
            yield _varint(len(content))
            yield content


def _read_varint(data: memoryview, position: int) -> tuple[int, int]:
    """Return an unsigned number below 2**64 and the position after it."""
    start, value = position, 0
    while True:
        if position >= len(data):
            raise ValueError("the message ends inside a number")
        byte = data[position]
        value |= (byte & 0x7F) << 7 * (position - start)
        position += 1
        if byte < 0x80:
            break
        if position - start == 10:
            raise ValueError("a number has more than ten bytes")
    if byte == 0 and position - start > 1:
        raise UnknownContentError("a number that is longer than needed")
    if value >> 64:
        raise ValueError("a number has more than 64 bits")
    return value, position


def _varint(value: int) -> bytes:
    content = bytearray()
    while value >= 0x80:
        content.append(value & 0x7F | 0x80)
        value >>= 7
    content.append(value)
    return bytes(content)
