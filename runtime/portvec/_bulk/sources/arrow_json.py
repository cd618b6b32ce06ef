"""Rows of Arrow columns as JSON."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.types as types

from portvec._terminal import escape_json


def encode_rows(batch: Any) -> Iterator[str]:
    """Return each row of a record batch as one line of JSON.

    Dates, times and timestamps are strings as in ISO 8601, with a space between date and time. A timestamp
    with a time zone is in UTC, and ends in Z. Durations are whole numbers of their unit. Decimals are
    strings, bytes are strings in base64, maps are lists of pairs, and NaN and infinity, which JSON lacks, are
    null.
    """
    columns = [_to_plain(column).to_pylist() for column in batch.columns]
    names = batch.schema.names
    return (_encode(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True))


def _encode(row: dict[str, Any]) -> str:
    try:
        line = _strict(row)
    except ValueError:
        line = _strict(_finite(row))
    return escape_json(line)


def _describe(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


_strict = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_describe).encode


def _finite(value: Any) -> Any:
    """Return a value with None for every number that JSON lacks."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value


def _to_plain(column: Any) -> Any:
    """Return a column of which Python's values keep what they say: nanoseconds do not fit into a datetime."""
    for change in (_to_utc, _to_strings):
        kind = _change(column.type, change)
        if kind != column.type:
            column = column.cast(kind)
    return column


def _to_utc(kind: Any) -> Any:
    # Python and Arrow would look for the time zone in a database that the system may lack.
    return pa.timestamp(kind.unit, "UTC") if types.is_timestamp(kind) and kind.tz is not None else kind


def _to_strings(kind: Any) -> Any:
    if types.is_duration(kind):
        return pa.int64()
    if types.is_decimal(kind) or (types.is_temporal(kind) and not types.is_interval(kind)):
        return pa.string()
    return kind


def _change(kind: Any, change: Any) -> Any:
    """Return a type in which each type that has no parts is changed."""
    if types.is_struct(kind):
        return pa.struct(
            [kind.field(i).with_type(_change(kind.field(i).type, change)) for i in range(kind.num_fields)]
        )
    if types.is_map(kind):
        return pa.map_(_change(kind.key_type, change), _change(kind.item_type, change))
    if types.is_fixed_size_list(kind):
        return pa.list_(_change_items(kind, change), kind.list_size)
    if types.is_list(kind):
        return pa.list_(_change_items(kind, change))
    if types.is_large_list(kind):
        return pa.large_list(_change_items(kind, change))
    if types.is_dictionary(kind):
        return _change(kind.value_type, change) if types.is_temporal(kind.value_type) else kind
    return change(kind)


def _change_items(kind: Any, change: Any) -> Any:
    return kind.value_field.with_type(_change(kind.value_type, change))
