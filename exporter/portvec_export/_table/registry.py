"""The codec of each dtype, as the registry in `portvec._artifact.dtypes` names it."""

from __future__ import annotations

from importlib import import_module

from portvec._artifact.dtypes import DTYPES
from portvec_export._table.table import Codec


def codec_for(dtype: str) -> Codec:
    """Return the codec of a known dtype."""
    module, name = DTYPES[dtype].codec.split(":")
    codec: Codec = getattr(import_module(module), name)()
    return codec
