"""The characters of many words in one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from portvec._vocabulary.token_ids import Ids

if TYPE_CHECKING:
    import numpy.typing as npt

Int32: TypeAlias = "npt.NDArray[np.int32]"


def lay_out(words: Sequence[str]) -> tuple[Int32, Ids, Ids]:
    """Return the code points of all words, where each word starts, and how long it is.

    The code points are int32, with a 0 after each word. A word may hold a 0 itself. Starts and lengths are
    int64 (n,).
    """
    lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    text = "\0".join([*words, ""])
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<i4")
    starts = np.zeros(len(words), dtype=np.int64)
    np.cumsum(lengths[:-1] + 1, out=starts[1:])
    return codes, starts, lengths
