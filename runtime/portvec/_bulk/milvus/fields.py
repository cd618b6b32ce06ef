"""Columns of Arrow as fields of Milvus: which type a field has, which fields fit, and the values to send."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from portvec._bulk.arrow import is_text
from portvec._failures import failures_become
from portvec.errors import FileError

# Limits of Milvus.
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
MAX_TEXT: Final = 65_535  # bytes of a VARCHAR
_MAX_JSON: Final = 65_536  # bytes

_INTEGERS: Final = ("INT64", "INT32", "INT16", "INT8")  # each holds the ones after it
_INT64_MAX: Final = 2**63 - 1


class Column(NamedTuple):
    """A column, and the types of the fields that hold its values.

    Attributes:
        name: of the column and of the field.
        fits: names of Milvus's types; the first is that of a new field.
    """

    name: str
    fits: tuple[str, ...]


class Field(NamedTuple):
    """What is known of a field of a collection.

    Attributes:
        name: of the field.
        type: name of its type in Milvus.
        nullable: whether it takes null.
        max_length: bytes that a VARCHAR holds.
    """

    name: str
    type: str
    nullable: bool
    max_length: int


def describe_column(field: Any, name: str) -> Column:
    """Return what an Arrow field becomes. Messages call the collection `name`.

    Raises:
        FileError: Milvus has no such type, or refuses the column's name.
    """
    if not _NAME.fullmatch(field.name):
        raise FileError(
            f"{name}: Milvus takes no field named {field.name!r}, because a name has letters, digits and _ "
            "only, and no digit first; rename the column"
        )
    fits = _fits(field.type)
    if not fits:
        raise FileError(
            f"{name}: Milvus has no type for the column {field.name!r}, which is {field.type}; leave it out, "
            "or cast it to string"
        )
    return Column(field.name, fits)


def _fits(kind: Any) -> tuple[str, ...]:
    if types.is_dictionary(kind):
        kind = kind.value_type
    if is_text(kind):
        return ("VARCHAR",)
    if types.is_boolean(kind):
        return ("BOOL",)
    if types.is_integer(kind):
        bits = kind.bit_width + types.is_unsigned_integer(kind)
        return tuple(name for name in _INTEGERS if int(name[3:]) >= min(bits, 64))
    if types.is_floating(kind):
        return ("DOUBLE",) if types.is_float64(kind) else ("FLOAT", "DOUBLE")
    if types.is_decimal(kind) or types.is_date(kind) or types.is_time(kind) or types.is_timestamp(kind):
        return ("VARCHAR",)
    return ("JSON",) if _is_json(kind) else ()


def _is_json(kind: Any) -> bool:
    """Return whether a type is a list or struct of what JSON can say."""
    if types.is_struct(kind):
        inner = [kind.field(index).type for index in range(kind.num_fields)]
    elif types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        inner = [kind.value_type]
    else:
        return False
    return all(_fits(each) for each in inner)


def decode_dictionaries(batch: Any) -> Any:
    """Return a batch in which every row has its own values, so that the size of some rows is known."""
    columns = [
        column.dictionary_decode() if types.is_dictionary(column.type) else column for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def read_values(array: Any, field: Field, first_row: int, name: str) -> list[Any]:
    """Return the values of a column, which is no dictionary, as Milvus's client takes them.

    Raises:
        FileError: the field takes no null, or a value is longer or larger than the field holds. The message
            names the row.
    """

    def fail(row: Any, problem: str) -> FileError:
        return FileError(f"{name}, row {first_row + int(row)}: the column {field.name!r} {problem}")

    if array.null_count and not field.nullable:
        row = array.is_null().to_numpy(zero_copy_only=False).argmax()
        raise fail(
            row,
            "is null, which the field does not take; fill it in, or let the field be nullable (Milvus 2.5, "
            "or milvus-lite 3)",
        )
    with failures_become(
        lambda reason: FileError(
            f"{name}, rows {first_row} to {first_row + len(array) - 1}: the column {field.name!r} cannot "
            f"be sent ({reason})"
        )
    ):
        kind = array.type
        if field.type == "VARCHAR":
            array = array.cast(pa.large_string())
            lengths = pc.binary_length(array).fill_null(0).to_numpy(zero_copy_only=False)
            if len(lengths) and lengths.max() > field.max_length:
                row = lengths.argmax()
                raise fail(
                    row,
                    f"has {lengths[row]:,} bytes, and a field holds {field.max_length:,}; cut the text into "
                    "passages, or leave the column out",
                )
            if types.is_timestamp(kind):
                array = pc.replace_substring(array, " ", "T", max_replacements=1)
        elif types.is_uint64(kind):
            large = pc.greater(array, pa.scalar(_INT64_MAX, pa.uint64())).fill_null(False)
            if pc.any(large).as_py():
                raise fail(large.index(True).as_py(), f"is more than {_INT64_MAX}; cast it to string")
        values: list[Any] = array.to_pylist()
        if field.type == "JSON":
            values = [_to_json(value, row, fail) for row, value in enumerate(values)]
        return values


def _to_json(value: Any, row: int, fail: Any) -> Any:
    if value is None:
        return None
    document = json.dumps(value, default=_to_text, ensure_ascii=False)
    if len(document.encode()) > _MAX_JSON:
        raise fail(row, f"has more than {_MAX_JSON:,} bytes of JSON, which is all that a field holds; cut it")
    return json.loads(document)


def _to_text(value: Any) -> str:
    """Return a date or a time in ISO 8601, and a decimal as it is written."""
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def read_vectors(array: Any, dim: int) -> list[np.ndarray[Any, Any]]:
    """Return the vectors of a column, float32 (dim,) each. One that is null becomes zeros, which score 0."""
    rows = np.zeros((len(array), dim), dtype=np.float32)
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    rows[valid] = array.flatten().to_numpy(zero_copy_only=False).reshape(-1, dim)
    return list(rows)


def parse_fields(description: Mapping[str, Any]) -> dict[str, Field]:
    """Return the fields of a collection, by name, from what Milvus says about it."""
    return {
        field["name"]: Field(
            field["name"],
            field["type"].name,
            bool(field.get("nullable")),
            int(field.get("params", {}).get("max_length", MAX_TEXT)),
        )
        for field in description["fields"]
    }
