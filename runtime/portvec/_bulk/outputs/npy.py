"""Embeddings alone, as an array that numpy can map."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import numpy as np

from portvec._bulk.parts import Part

if TYPE_CHECKING:
    import numpy.typing as npt


class NpyWriter:
    """Writes a .npy file, float32 or float16 (n, dim)."""

    def __init__(self, file: IO[bytes], notes: list[Any], *, dim: int, dtype: str) -> None:
        self._file = file
        self._dim = dim
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._rows = sum(notes)
        if not notes:
            self._write_header()

    def write(self, part: Part, embeddings: npt.NDArray[np.float32]) -> int:
        """Append the embeddings of a part. The note is the number of rows."""
        self._file.write(np.ascontiguousarray(embeddings, dtype=self._dtype).data)
        self._rows += len(part)
        return len(part)

    def finish(self) -> None:
        """Write the number of rows into the header, which numpy pads so that a longer number fits."""
        self._file.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": (self._rows, self._dim)}
        np.lib.format.write_array_header_1_0(self._file, header)
