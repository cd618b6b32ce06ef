"""The file of a compiled vocabulary: facts in JSON, and arrays that are used where they lie in the file.

    magic, 8 bytes      version, uint32      CRC-32 of all that follows, uint32
    length of the header, uint64             the header, JSON in UTF-8
    zeros up to a multiple of 64             the arrays, each at a multiple of 64

The header is `{"facts": {...}, "arrays": {name: {"dtype", "offset", "count"}}}`. Offsets count from the first
array. Every number is little-endian.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from portvec._artifact.files import JSON_LIMIT, Content, parse_json
from portvec._artifact.json_fields import JsonFields
from portvec.errors import ArtifactError

if TYPE_CHECKING:
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[Any]

MAGIC: Final = b"PORTVOCB"
VERSION: Final = 1

_PREFIX = struct.Struct("<8sII")  # what the checksum does not cover
_LENGTH = struct.Struct("<Q")
_ALIGNMENT = 64
_DTYPES = {dtype.name: dtype for dtype in map(np.dtype, ("<u1", "<i4", "<u4", "<f8"))}


@dataclass(frozen=True)
class VocabularyFile:
    """What a compiled vocabulary holds.

    Attributes:
        facts: what the header says of the tokenizer.
        arrays: views of the file, which cannot be written.
        where: the file, for errors.
    """

    facts: Mapping[str, Any]
    arrays: Mapping[str, Array] = field(repr=False)
    where: str = "vocabulary"

    def fields(self, name: str) -> JsonFields:
        """Return the facts about `name`, such as the model.

        Raises:
            ArtifactError: there are none.
        """
        return JsonFields(dict(self.facts), self.where).object(name)

    def id_of_model(self, name: str) -> int:
        """Return a token id among the facts about the model.

        Raises:
            ArtifactError: it is missing, or is not a token id.
        """
        token_id: int = self.fields("model").get(name, int)
        if not 0 <= token_id < 2**31:
            raise self.error(f"{name} is {token_id}, expected a token id from 0 to 2147483647")
        return token_id

    def array(self, name: str, dtype: str, count: int | None = None) -> Array:
        """Return an array that must have this type, and `count` elements unless that is None.

        Raises:
            ArtifactError: it is missing, or has another type or number of elements.
        """
        array = self.arrays.get(name)
        if array is None:
            raise self.error(f"has no array {name!r}")
        if array.dtype != _DTYPES[dtype]:
            raise self.error(f"array {name!r} is {array.dtype}, expected {dtype}")
        if count is not None and len(array) != count:
            raise self.error(f"array {name!r} has {len(array)} elements, expected {count}")
        return array

    def error(self, fault: str) -> ArtifactError:
        """Return the error for a file that has this fault."""
        return _error(self.where, fault)


def pack_vocabulary(facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """Return the content of a file with these facts and one-dimensional arrays."""
    entries: dict[str, Any] = {}
    parts: list[bytes] = []
    size = 0
    for name, array in arrays.items():
        dtype = _DTYPES[array.dtype.name]
        content = array.astype(dtype, copy=False).tobytes()
        entries[name] = {"dtype": dtype.name, "offset": size, "count": len(array)}
        parts += content, bytes(-len(content) % _ALIGNMENT)
        size += sum(map(len, parts[-2:]))
    header = json.dumps({"facts": facts, "arrays": entries}, separators=(",", ":"), allow_nan=False).encode()
    gap = -(_PREFIX.size + _LENGTH.size + len(header)) % _ALIGNMENT
    parts[:0] = _LENGTH.pack(len(header)), header, bytes(gap)
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return b"".join([_PREFIX.pack(MAGIC, VERSION, checksum), *parts])


def read_vocabulary(content: Content, where: str) -> VocabularyFile:
    """Return the vocabulary in a file, without a copy of its arrays.

    What the arrays hold is checked by those who use them. `where` names the file in errors.

    Raises:
        ArtifactError: the file is damaged, is of another version, or is no such file.
    """
    view = memoryview(content)
    start = _PREFIX.size + _LENGTH.size
    if len(view) < start:
        raise _error(where, f"has {len(view)} bytes, expected at least {start}")
    magic, version, checksum = _PREFIX.unpack_from(view)
    if magic != MAGIC:
        raise _error(where, f"begins with {magic!r}, expected {MAGIC!r}")
    if version != VERSION:
        raise ArtifactError(
            f"{where}: version {version} of the format, but this portvec reads {VERSION}; upgrade portvec, "
            "or export the model again"
        )
    if zlib.crc32(view[_PREFIX.size :]) != checksum:
        raise ArtifactError(
            f"{where}: the checksum does not match the content; copy the folder again, or export again"
        )
    (length,) = _LENGTH.unpack_from(view, _PREFIX.size)
    if length > min(JSON_LIMIT, len(view) - start):
        raise _error(where, f"says that its header has {length} bytes, more than there can be")
    try:
        header = parse_json(bytes(view[start : start + length]))
    except ValueError as error:
        raise _error(where, f"the header is not JSON ({error})") from error
    if not isinstance(header, dict):
        raise _error(where, f"the header is a JSON {type(header).__name__}, expected an object")
    fields = JsonFields(header, where)
    first = start + length + -(start + length) % _ALIGNMENT
    return VocabularyFile(fields.get("facts", dict), _read_arrays(view[first:], fields), where)


def _read_arrays(data: memoryview, header: JsonFields) -> dict[str, Array]:
    entries = header.object("arrays")
    arrays: dict[str, Array] = {}
    spans = []
    for name in entries:
        entry = entries.object(name)
        dtype = _DTYPES.get(entry.get("dtype", str))
        offset, count = entry.get("offset", int), entry.get("count", int)
        if dtype is None:
            raise _error(entry.where, f"dtype is {entry.get('dtype', str)!r}, expected {', '.join(_DTYPES)}")
        if offset < 0 or offset % _ALIGNMENT:
            raise _error(entry.where, f"offset is {offset}, expected a multiple of {_ALIGNMENT}")
        if count < 1:
            raise _error(entry.where, f"count is {count}, expected at least 1")
        stop = offset + count * dtype.itemsize
        if stop > len(data):
            raise _error(entry.where, f"ends at byte {stop}, but the file has {len(data)} bytes for arrays")
        spans.append((offset, stop, name))
        arrays[name] = np.frombuffer(data, dtype, count, offset)
    spans.sort()
    for (_, stop, name), (offset, _, other) in pairwise(spans):
        if offset < stop:
            raise _error(entries.where, f"{name} and {other} overlap")
    return arrays


def _error(where: str, fault: str) -> ArtifactError:
    return ArtifactError(f"{where}: {fault}; export the model again")
