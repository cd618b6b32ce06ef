"""A column of embeddings as Parquet holds it: their bytes, with little around them.

pyarrow goes through every number to write how deep it is nested, which takes half as long as embedding does.
But that is the same for each row. The layout is that of https://github.com/apache/parquet-format: a list of
three levels, plain values, and levels as runs.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import numpy as np

from portvec._bulk.outputs.thrift import (
    BINARY,
    I32,
    I64,
    LIST,
    STRUCT,
    encode_binary,
    encode_integer,
    encode_list,
    encode_struct,
    encode_varint,
)

if TYPE_CHECKING:
    import numpy.typing as npt

# Bytes of numbers in a page.
_PAGE = 1 << 20
# Constants of parquet.thrift.
_FLOAT, _FIXED_LEN_BYTE_ARRAY = 4, 7
_PLAIN, _RLE = 0, 3
_UNCOMPRESSED = 0
_DATA_PAGE = 0
# How deep a number is nested: a list that is not null, with an element, which is not null.
_DEPTH = 3


def write_vectors(file: IO[bytes], name: str, rows: npt.NDArray[np.floating]) -> tuple[bytes, int]:
    """Write the column chunk of a row group.

    Args:
        file: where to write it.
        name: name of the column.
        rows: float32 or float16 (n, dim), with n and dim at least 1.

    Returns:
        the chunk's metadata, a ColumnChunk, and its size in bytes.
    """
    rows = np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder("<"))
    start = file.tell()
    step = max(_PAGE // (rows.itemsize * rows.shape[1]), 1)
    for at in range(0, len(rows), step):
        page = rows[at : at + step]
        levels = _encode_levels(*page.shape)
        file.write(_encode_header(page.size, len(levels) + page.nbytes))
        file.write(levels)
        file.write(page.data)
    size = file.tell() - start
    metadata = encode_struct(
        (1, I32, encode_integer(_FLOAT if rows.itemsize == 4 else _FIXED_LEN_BYTE_ARRAY)),
        (2, LIST, encode_list([encode_integer(_PLAIN), encode_integer(_RLE)], I32)),
        (3, LIST, encode_list([encode_binary(part.encode()) for part in (name, "list", "element")], BINARY)),
        (4, I32, encode_integer(_UNCOMPRESSED)),
        (5, I64, encode_integer(rows.size)),
        (6, I64, encode_integer(size)),
        (7, I64, encode_integer(size)),
        (9, I64, encode_integer(start)),
    )
    return encode_struct((2, I64, encode_integer(0)), (3, STRUCT, metadata)), size


def _encode_header(count: int, size: int) -> bytes:
    """Return the header of a page with `count` numbers, which takes `size` bytes."""
    values = encode_struct(
        (1, I32, encode_integer(count)),
        (2, I32, encode_integer(_PLAIN)),
        (3, I32, encode_integer(_RLE)),
        (4, I32, encode_integer(_RLE)),
    )
    return encode_struct(
        (1, I32, encode_integer(_DATA_PAGE)),
        (2, I32, encode_integer(size)),
        (3, I32, encode_integer(size)),
        (5, STRUCT, values),
    )


def _encode_levels(rows: int, dim: int) -> bytes:
    """Return the levels of a page: of repetition, which is 0 where a list begins, and of definition."""
    repetition = (_encode_run(1, 0) + (_encode_run(dim - 1, 1) if dim > 1 else b"")) * rows
    definition = _encode_run(rows * dim, _DEPTH)
    return b"".join(len(levels).to_bytes(4, "little") + levels for levels in (repetition, definition))


def _encode_run(count: int, level: int) -> bytes:
    """Return a level that is repeated."""
    return encode_varint(count << 1) + bytes([level])
