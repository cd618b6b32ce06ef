"""Two-stage tables with a number for each code point."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from portvec._vocabulary.characters import PAGE, PAGES

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]


def pack_table(pages: str, entries: str, numbers: npt.NDArray[Any]) -> Arrays:
    """Return the two arrays, by these names, of a table with a number for each code point."""
    places: dict[bytes, int] = {}
    rows = [places.setdefault(page.tobytes(), len(places)) for page in numbers.reshape(PAGES, PAGE)]
    return {
        pages: np.array(rows, dtype=np.int32),
        entries: np.frombuffer(b"".join(places), dtype=numbers.dtype),
    }
