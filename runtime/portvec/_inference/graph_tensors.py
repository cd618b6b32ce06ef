"""The tensors of a graph: their numbers are inside it or in one file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from portvec._artifact.files import Content
from portvec._inference.onnx_schema import DTYPES
from portvec._inference.protobuf import Message, UnknownContentError

if TYPE_CHECKING:
    import numpy.typing as npt

EXTERNAL = 1


class TensorReader:
    """Reads tensors, whose numbers are inside or in one file.

    Attributes:
        location: how a graph names that file.
    """

    def __init__(self, location: str, data: Content, dtypes: Mapping[int, np.dtype[Any]] = DTYPES) -> None:
        """Read tensors of these element types, with external data in `data`, which graphs call `location`."""
        self.location = location
        self._data = data
        self._dtypes = dtypes

    def read(self, tensor: Message, name: str) -> npt.NDArray[Any]:
        """Return a tensor, aligned. Its memory is that of the content, where possible."""
        dtype = self._dtypes.get(tensor.get("data_type", 0))
        if dtype is None:
            raise UnknownContentError(f"a tensor of type {tensor.get('data_type')}")
        shape = tuple(tensor["dims"])
        if any(length < 0 for length in shape):
            raise ValueError(f"tensor {name!r} has a negative length")
        size = math.prod(shape) * dtype.itemsize
        content, offset, length = self._find(tensor, name, size)
        if length != size or offset + size > len(content):
            raise ValueError(f"tensor {name!r} needs {size:,} bytes, and there are others")
        array = np.frombuffer(content, dtype, math.prod(shape), offset) if size else np.empty(0, dtype)
        return np.require(array.reshape(shape), requirements=["C", "A"])

    def _find(self, tensor: Message, name: str, size: int) -> tuple[Content | memoryview, int, int]:
        """Return the content that holds a tensor, where it starts there, and its number of bytes."""
        entries = {each["key"]: each["value"] for each in tensor["external_data"]}
        location = tensor.get("data_location", 0)
        if location not in (0, EXTERNAL) or bool(entries) != location:
            raise UnknownContentError(f"a tensor in the location {location}")
        if not entries:
            raw = tensor.get("raw_data", b"")
            return raw, 0, len(raw)
        if entries.get(b"location") != self.location.encode():
            raise UnknownContentError(f"external data in {entries.get(b'location')!r}")
        known = {b"location", b"offset", b"length"}
        if "raw_data" in tensor or len(entries) < len(tensor["external_data"]) or entries.keys() - known:
            raise UnknownContentError("a tensor that is in two places")
        offset, length = entries.get(b"offset", b"0"), entries.get(b"length", b"%d" % size)
        if not (offset.isdigit() and length.isdigit() and max(len(offset), len(length)) < 20):
            raise ValueError(f"tensor {name!r} is at {offset!r} and has {length!r} bytes")
        return self._data, int(offset), int(length)
