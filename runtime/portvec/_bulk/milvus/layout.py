"""What a collection of Milvus must have to take the rows of a source."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from portvec._bulk.milvus.client import TIMEOUT, find_vectors
from portvec._bulk.milvus.fields import MAX_TEXT, Column, Field, describe_column, parse_fields
from portvec.errors import FileError, OptionError

_ROW_NUMBER: Final = "id"  # the field of row numbers, where no column is the primary key


class Layout(NamedTuple):
    """What a collection must have.

    Attributes:
        columns: the columns of the source.
        key: the primary key: one of them, or the number of the row.
        vector: the field of embeddings.
        dim: length of an embedding.
        metric: how embeddings are compared.
    """

    columns: list[Column]
    key: Column
    vector: str
    dim: int
    metric: str


def plan_layout(
    name: str, schema: Any, *, text: str, vector: str, dim: int, id_field: str | None, metric: str
) -> Layout:
    """Return what a source needs. Messages call the collection `name`.

    Raises:
        FileError: there is no column `text`, or Milvus has no type for a column.
        OptionError: the primary key cannot be what is asked for.
    """
    columns = [describe_column(field, name) for field in schema if field.name != vector]
    by_name = {column.name: column for column in columns}
    known = ", ".join(by_name) or "none"
    if text not in by_name:
        raise FileError(f"{name}: no column {text!r}, has {known}; give another field=...")
    if id_field is None:
        if _ROW_NUMBER in by_name:
            raise OptionError(
                f"{name}: the source has a column {_ROW_NUMBER!r}, the name of the field for row numbers; "
                f"give id_field={_ROW_NUMBER!r} to let the column be the primary key, or rename it"
            )
        return Layout(columns, Column(_ROW_NUMBER, ("INT64",)), vector, dim, metric)
    if id_field not in by_name:
        raise OptionError(f"{name}: no column {id_field!r}, has {known}; give another id_field=...")
    key = by_name[id_field]
    if key.fits[0] not in ("INT64", "VARCHAR"):
        raise OptionError(
            f"{name}: a primary key is an integer or a string, and the column {id_field!r} is neither; give "
            "another id_field=..."
        )
    return Layout(columns, key, vector, dim, metric)


def create(client: Any, collection: str, layout: Layout, *, nullable: bool) -> None:
    """Create a collection. If `nullable`, every column but the primary key takes null."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    for column in dict.fromkeys([layout.key, *layout.columns]):
        kind = column.fits[0]
        options: dict[str, Any] = {"max_length": MAX_TEXT} if kind == "VARCHAR" else {}
        options |= {"is_primary": True} if column == layout.key else {"nullable": nullable}
        schema.add_field(column.name, DataType[kind], **options)
    schema.add_field(layout.vector, DataType.FLOAT_VECTOR, dim=layout.dim)
    client.create_collection(collection, schema=schema, index_params=_index(client, layout), timeout=TIMEOUT)


def check_fits(client: Any, name: str, collection: str, layout: Layout) -> dict[str, Field]:
    """Check that a collection takes the rows, and return its fields. One without an index gets it.

    Raises:
        FileError: something differs; the message says what.
    """

    def differ(problem: str, remedy: str = "") -> FileError:
        return FileError(
            f"{name}: exists, and {problem}; {remedy}give another collection, or replace it with "
            "overwrite=True"
        )

    description = client.describe_collection(collection, timeout=TIMEOUT)
    fields = parse_fields(description)
    (primary,) = (each for each in description["fields"] if each.get("is_primary"))
    if primary.get("auto_id") or description.get("auto_id"):
        raise differ(f"Milvus sets its primary key {primary['name']!r}, so that a repeated run adds rows")
    if primary["name"] != layout.key.name:
        raise differ(
            f"its primary key is {primary['name']!r}, expected {layout.key.name!r}",
            "give another id_field=..., ",
        )
    vectors = find_vectors(description["fields"])
    if vectors.get(layout.vector) != layout.dim:
        shown = ", ".join(f"{field!r} of dimension {dim}" for field, dim in vectors.items()) or "none"
        raise differ(f"its vectors are {shown}, expected {layout.vector!r} of dimension {layout.dim}")
    for column in [layout.key, *layout.columns]:
        field = fields.get(column.name)
        if field is None and description.get("enable_dynamic_field"):
            fields[column.name] = Field(column.name, column.fits[0], True, MAX_TEXT)
        elif field is None:
            raise differ(f"has no field for the column {column.name!r}, has {', '.join(fields)}")
        elif field.type not in column.fits:
            expected = " or ".join(column.fits)
            raise differ(f"its field {column.name!r} is {field.type}, expected {expected}")
    filled = {layout.key.name, layout.vector, *(column.name for column in layout.columns)}
    for each in description["fields"]:
        optional = each.get("nullable") or each.get("default_value") or each.get("is_function_output")
        if each["name"] not in filled and not optional:
            raise differ(f"its field {each['name']!r} takes no null, and the source has no such column")
    names = client.list_indexes(collection, layout.vector)
    metrics = [client.describe_index(collection, index)["metric_type"] for index in names]
    if not metrics:
        client.create_index(collection, _index(client, layout), timeout=TIMEOUT)
    elif layout.metric not in metrics:
        raise differ(f"its metric is {metrics[0]}, expected {layout.metric}", f"give metric={metrics[0]!r}, ")
    return fields


def _index(client: Any, layout: Layout) -> Any:
    parameters = client.prepare_index_params()
    parameters.add_index(layout.vector, index_type="AUTOINDEX", metric_type=layout.metric)
    return parameters
