"""Two-stage tables with a number for each code point."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from portvec._vocabulary.characters import PAGE, PAGES

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]


def pack_table(pages: str, entries: str, numbers: npt.NDArray[Any]) -> Arrays:
    """Return the two arrays, by these names, of a table with a number for each code point."""
    stored, places = np.unique(numbers.reshape(PAGES, PAGE), axis=0, return_inverse=True)
    return {pages: places.reshape(-1).astype(np.int32), entries: stored.reshape(-1)}
