"""External data: large tensors in a file beside the graph, each where it can be mapped into memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

# Offsets that can be memory-mapped everywhere: Windows maps at multiples of 64 KiB, the others at pages.
# Tensors smaller than that are read, so they need no such offset.
_MAP_ALIGNMENT = 1 << 16
_ALIGNMENT = 1 << 6
# Bytes that are read and written at a time.
_BLOCK = 1 << 22


class Tensor(Protocol):
    """A tensor to be stored: an array, or what reads its rows when they are written."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""

    def __getitem__(self, index: slice, /) -> npt.NDArray[Any]:
        """Return a part along the first axis."""


@dataclass(frozen=True)
class DataFile:
    """Where each tensor is in a data file.

    Attributes:
        name: of the file, relative to the folder of the graph.
        offsets: where each tensor starts, by its name in the graph.
    """

    name: str
    offsets: Mapping[str, int]

    def at(self, name: str) -> DataFile:
        """Return the same file as a graph in another folder names it."""
        return DataFile(name, self.offsets)

    def store(self, array: Tensor, name: str) -> TensorProto:
        """Return the message of a tensor whose numbers are in this file."""
        proto = TensorProto(
            name=name,
            data_type=helper.np_dtype_to_tensor_dtype(array.dtype.newbyteorder("=")),
            dims=array.shape,
            data_location=TensorProto.EXTERNAL,
        )
        entries = {"location": self.name, "offset": self.offsets[name], "length": array.nbytes}
        for key, value in entries.items():
            proto.external_data.add(key=key, value=str(value))
        return proto


def write_data_file(path: Path, tensors: Mapping[str, Tensor]) -> DataFile:
    """Write tensors, little-endian, in the given order."""
    offsets = {}
    with path.open("wb") as file:
        for name, tensor in tensors.items():
            alignment = _MAP_ALIGNMENT if tensor.nbytes >= _MAP_ALIGNMENT else _ALIGNMENT
            file.write(bytes(-file.tell() % alignment))
            offsets[name] = file.tell()
            count = tensor.shape[0]
            step = max(1, _BLOCK * count // max(tensor.nbytes, 1))
            for start in range(0, count, step):
                file.write(_little_endian(tensor[start : start + step]).data)
    return DataFile(path.name, offsets)


def store_inline(array: Tensor, name: str) -> TensorProto:
    """Return the message of a tensor that holds its numbers itself."""
    return numpy_helper.from_array(_little_endian(array if isinstance(array, np.ndarray) else array[:]), name)


def _little_endian(tensor: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(tensor, dtype=tensor.dtype.newbyteorder("<"), order="C")
