"""The element types that a table of token vectors can be stored in: the registry."""

from __future__ import annotations

from typing import Final, NamedTuple


class Dtype(NamedTuple):
    """What the exporter and the runtime need to know about an element type.

    Attributes:
        codec: the exporter's class for it, as "module:class". It is imported when a model is exported.
        summed_bytes: bytes that a value takes in the graph when rows are summed.
    """

    codec: str
    summed_bytes: int


DTYPES: Final = {
    "float32": Dtype(codec="portvec_export._table.floats:Float32Codec", summed_bytes=4),
    "float16": Dtype(codec="portvec_export._table.floats:Float16Codec", summed_bytes=4),
    "int8": Dtype(codec="portvec_export._table.int8:Int8Codec", summed_bytes=1),
    "int4": Dtype(codec="portvec_export._table.int4:Int4Codec", summed_bytes=4),
}
