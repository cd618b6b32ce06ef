"""The footer of a Parquet file, as far as moving and extending row groups takes.

It is a FileMetaData of https://github.com/apache/parquet-format (parquet.thrift). pyarrow reads and writes
footers, but cannot change what they describe.
"""

from __future__ import annotations

from portvec._bulk.outputs.thrift import Path, Walk, encode_integer, encode_list, join, read_list

# Fields of FileMetaData, and of RowGroup.
_NUM_ROWS, _ROW_GROUPS = 3, 4
_COLUMNS, _BYTES, _ROWS, _COMPRESSED_BYTES = 1, 2, 3, 6
# The offsets in a row group, as paths of field ids: its own, those of its column chunks with their indexes,
# and those of pages and bloom filters in the metadata of a column chunk.
_OFFSETS = {(5,), (1, 2), (1, 4), (1, 6), *((1, 3, field) for field in (9, 10, 11, 14))}


def take_row_group(footer: bytes, distance: int) -> bytes:
    """Return the only row group of a file, moved by `distance` bytes."""
    fields = {field: value for field, _, value in Walk(footer).fields()}
    (group,) = read_list(fields[_ROW_GROUPS])

    def edit(path: Path, value: int) -> int:
        # 0 stands for no offset, in fields that are no longer used.
        return value + distance if value and path in _OFFSETS else value

    return join(Walk(group, edit).fields())


def add_column(group: bytes, chunk: bytes, size: int) -> bytes:
    """Return a row group with one more column chunk, which takes `size` bytes and is not compressed."""
    fields = {field: value for field, _, value in Walk(group).fields()}
    replaced = {
        _COLUMNS: encode_list([*read_list(fields[_COLUMNS]), chunk]),
        **{
            field: encode_integer(Walk(fields[field]).integer() + size)
            for field in (_BYTES, _COMPRESSED_BYTES)
            if field in fields
        },
    }
    return _replace(group, replaced)


def with_row_groups(footer: bytes, groups: list[bytes]) -> bytes:
    """Return the footer of a file without rows with these row groups."""
    rows = 0
    for group in groups:
        fields = {field: value for field, _, value in Walk(group).fields()}
        rows += Walk(fields[_ROWS]).integer()
    return _replace(footer, {_NUM_ROWS: encode_integer(rows), _ROW_GROUPS: encode_list(groups)})


def _replace(struct: bytes, replaced: dict[int, bytes]) -> bytes:
    return join((field, header, replaced.get(field, value)) for field, header, value in Walk(struct).fields())
