"""The codec of each dtype."""

from __future__ import annotations

from typing import Final

from portvec_export._table.floats import Float16Codec, Float32Codec
from portvec_export._table.int4 import Int4Codec
from portvec_export._table.int8 import Int8Codec
from portvec_export._table.table import Codec

CODECS: Final[dict[str, type[Codec]]] = {
    "float32": Float32Codec,
    "float16": Float16Codec,
    "int8": Int8Codec,
    "int4": Int4Codec,
}


def codec_for(dtype: str) -> Codec:
    """Return the codec of a known dtype."""
    return CODECS[dtype]()
