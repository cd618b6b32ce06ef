"""The merges of a BPE: two neighbouring tokens, the rank of their merge, the token that they become.

Ranks are found in a hash table without probing. A pair of ids has a place in `merge_base`, which holds how
far the right id is moved to get the slot of the pair. The exporter has chosen these moves so that no two
merges have the same slot. Both tables have the same power of two as size, so every look-up stays inside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from portvec._vocabulary.file import VocabularyFile
from portvec._vocabulary.layout import Int32
from portvec._vocabulary.trie import view

if TYPE_CHECKING:
    import numpy.typing as npt

# Spreads the right ids of one left id. It is a part of the format.
SPREAD: Final = 1327217885

# The rank of two tokens that are not merged: above every rank.
NO_RANK: Final = 2**31 - 1


class Merges:
    """The merges of a file.

    Attributes:
        tokens: int32 (merges,), by rank, the token that the merge gives.
        token_of: the same as a memoryview.
        rank_of: the rank of one pair of ids, `NO_RANK` if it is not merged.
    """

    def __init__(self, file: VocabularyFile) -> None:
        """Use the arrays of a file.

        Raises:
            ArtifactError: an array is missing or of another type or size, or a rank has no token.
        """
        self._base = file.array("merge_base", "int32")
        size = len(self._base)
        if size & (size - 1):
            raise file.error(f"array 'merge_base' has {size} elements, expected a power of two")
        self._mask = size - 1
        # A slot has the left and the right id: one number of 64 bits.
        pairs = file.array("merge_pairs", "int32", 2 * size)
        if pairs.min() < -1:
            raise file.error("a merge has a negative token id")
        self._pairs = pairs.view("<i8")
        self._ranks = file.array("merge_ranks", "int32", size)
        self.tokens: Int32 = file.array("merge_tokens", "int32")
        if self._ranks.min() < 0 or self._ranks.max() >= len(self.tokens):
            raise file.error("a rank of a merge has no token")
        if self.tokens.min() < 0:
            raise file.error("a merge gives a negative token id")
        self.token_of = view(self.tokens)
        self.rank_of = _rank_finder(view(self._base), view(self._pairs), view(self._ranks), self._mask)

    def ranks(self, left: Int32, right: Int32) -> Int32:
        """Return the rank of each pair of ids, `NO_RANK` for those that are not merged."""
        slots = right * np.int32(SPREAD)  # its upper bits do not matter and may be lost
        slots += left
        slots &= self._mask
        slots = self._base.take(slots, mode="clip")
        slots += right
        slots &= self._mask
        pairs: npt.NDArray[np.int64] = right.astype(np.int64)
        pairs <<= 32
        pairs |= left
        found = self._pairs.take(slots, mode="clip") == pairs
        ranks: Int32 = np.where(found, self._ranks.take(slots, mode="clip"), np.int32(NO_RANK))
        return ranks


def _rank_finder(base: Any, pairs: Any, ranks: Any, mask: int) -> Callable[[int, int], int]:
    # Local names make this twice as fast as a method.
    def rank_of(left: int, right: int) -> int:
        slot = right + base[left + right * SPREAD & mask] & mask
        rank: int = ranks[slot] if pairs[slot] == right << 32 | left else NO_RANK
        return rank

    return rank_of
