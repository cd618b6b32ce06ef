"""Rows whose number is not known before the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

# The memory becomes larger by this part of its size. numpy fills what is new with zeros, so it must be small.
_GROWTH = 1 / 8


class RowBuffer:
    """Collects rows, float32 (n, width), in one block of memory.

    It is enlarged in place. The operating system moves pages to do that, so there is never a second copy.
    """

    def __init__(self, width: int) -> None:
        self._rows = np.empty((0, width), dtype=np.float32)
        self._count = 0

    def append(self, rows: npt.NDArray[np.float32]) -> None:
        """Copy rows behind those that are there."""
        end = self._count + len(rows)
        if end > len(self._rows):
            room = max(end, int(len(self._rows) * (1 + _GROWTH)))
            self._rows.resize((room, self._rows.shape[1]), refcheck=False)
        self._rows[self._count : end] = rows
        self._count = end

    def finish(self) -> npt.NDArray[np.float32]:
        """Return all rows. Nothing may be appended after this."""
        self._rows.resize((self._count, self._rows.shape[1]), refcheck=False)
        return self._rows
