"""Tensors of a safetensors file. Those of bfloat16, for which numpy has no type, are read as float32."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from portvec.errors import SourceError
from portvec_export._source.rows import Rows, rows_of_file

AGAIN: Final = "fetch the model again, as a download may have been cut short"

# Types as a file names them. All of them are stored little-endian.
_BFLOAT16 = "BF16"
_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    _BFLOAT16: "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}


@dataclass(frozen=True)
class Tensors:
    """The tensors of a file that is complete.

    Attributes:
        path: path of the file.
        names: names of the tensors.
    """

    path: Path
    names: frozenset[str]
    _header: dict[str, Any]
    _start: int

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return tuple(self._header[name]["shape"])

    def rows(self, name: str) -> Rows:
        """Return the rows of a table, which stay in the file.

        Raises:
            SourceError: it has a type that no model has.
        """
        rows, columns = self.shape(name)
        kind, offset = self._find(name)
        stored = rows_of_file(self.path, offset, (rows, columns), _TYPES[kind])
        if kind != _BFLOAT16:
            return stored
        return Rows((rows, columns), np.float32, lambda index: _widen(stored[index]))

    def read(self, name: str) -> npt.NDArray[Any]:
        """Return a tensor.

        Raises:
            SourceError: it has a type that no model has.
        """
        kind, offset = self._find(name)
        shape = self.shape(name)
        size = math.prod(shape)
        stored = np.zeros(shape, _TYPES[kind])
        if size:  # an empty part of a file cannot be mapped
            stored = np.array(rows_of_file(self.path, offset, (size, 1), _TYPES[kind])[:]).reshape(shape)
        return _widen(stored) if kind == _BFLOAT16 else stored

    def read_float32(self, name: str) -> npt.NDArray[np.float32]:
        """Return a tensor of floating-point numbers, which float32 holds.

        Raises:
            SourceError: it is one of other numbers, or has NaN, infinity or what float32 cannot hold.
        """
        tensor = self.read(name)
        if tensor.dtype.kind != "f":
            raise SourceError(
                f"{self.path}: the tensor {name!r} is {tensor.dtype}, expected floating-point numbers; "
                "repair the model"
            )
        with np.errstate(over="ignore"):
            numbers = tensor.astype(np.float32)
        if not np.isfinite(numbers).all():
            raise SourceError(
                f"{self.path}: the tensor {name!r} has NaN, infinity or a number beyond float32; repair the "
                "model"
            )
        return numbers

    def _find(self, name: str) -> tuple[str, int]:
        """Return the type of a tensor, and its first byte in the file."""
        kind = self._header[name]["dtype"]
        if kind not in _TYPES:
            raise SourceError(
                f"{self.path}: the tensor {name!r} is {kind}, expected F64, F32, F16, BF16 or a type of "
                "integers; convert it to float32, and save the model again"
            )
        return kind, self._start + self._header[name]["data_offsets"][0]


def open_tensors(path: Path) -> Tensors:
    """Check that a file is complete and fits into memory, and return its tensors.

    Raises:
        SourceError: it is not, or it cannot be read.
    """
    try:
        size = path.stat().st_size
        # safetensors would say of a file that it may not read that there is none.
        opened = path.open("rb")
    except OSError as error:
        raise SourceError(
            f"{path}: cannot be read ({error.strerror or error}); check the file and its permissions"
        ) from error
    memory = _total_memory()
    with opened:
        if memory is not None and size > memory:
            raise SourceError(
                f"{path}: {size:,} bytes, but this machine has {memory:,} bytes of memory; export on a "
                "larger one"
            )
        try:
            with safe_open(path, framework="numpy") as file:
                names = frozenset(file.keys())
        except MemoryError as error:
            raise SourceError(
                f"{path}: {size:,} bytes, which do not fit in memory; export on a larger machine"
            ) from error
        except (SafetensorError, OSError) as error:
            raise SourceError(f"{path}: not a complete safetensors file ({error}); {AGAIN}") from error
        length = int.from_bytes(opened.read(8), "little")
        return Tensors(path, names, json.loads(opened.read(length)), 8 + length)


def _widen(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """Return the values of bfloat16, which has the first half of float32's bits."""
    return np.left_shift(bits, 16, dtype=np.uint32).view(np.float32)


def _total_memory() -> int | None:
    """Return this machine's memory in bytes; None if the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
