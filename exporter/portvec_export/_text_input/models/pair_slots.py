"""Laying out a table of pairs by row displacement: that of a and b has the slot base[a] + b.

All pairs of one a are a row, which goes where its slots are free. Long rows are placed first. A row is tried
at many places in one operation, so hundreds of thousands of pairs take seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints: TypeAlias = npt.NDArray[np.int64]

# Places tried at once at first; each time that none is free, it doubles.
_WINDOW = 1024


def displace_pairs(left: Ints, right: Ints, tokens: int) -> tuple[Ints, Ints]:
    """Find a slot for each pair, so that no two have the same.

    Args:
        left: (pairs,), at least 0 and below `tokens`.
        right: (pairs,), the same. No pair occurs twice.
        tokens: at least 1.

    Returns:
        The base of each left number, int64 (tokens,), at least 0, and the slot of each pair.
    """
    order = np.lexsort((right, left))
    rights = right[order]
    counts = np.bincount(left, minlength=tokens)
    first = np.cumsum(counts) - counts
    base = np.zeros(tokens, np.int64)
    used = np.zeros(2 * (tokens + len(left)) + _WINDOW, np.bool_)
    several = np.flatnonzero(counts > 1)
    start, previous = 0, 0
    for row in several[np.argsort(-counts[several], kind="stable")].tolist():
        count = int(counts[row])
        if count != previous:
            start, previous = 0, count
        steps = rights[first[row] : first[row] + count]
        lowest = int(steps[0])
        slot, has_tried_many, used = _fit(used, steps - lowest, max(start, lowest))
        if has_tried_many:  # rows of the same length will hardly fit before it
            start = slot
        used[slot + steps - lowest] = True
        base[row] = slot - lowest
    # A row of one pair fits anywhere, as long as its base is not negative.
    single = np.flatnonzero(counts == 1)
    single = single[np.argsort(rights[first[single]], kind="stable")]
    lowest_slots = rights[first[single]]
    base[single] = _take_each_at_least(used, lowest_slots) - lowest_slots
    return base, base[left] + right


def _fit(used: npt.NDArray[np.bool_], offsets: Ints, start: int) -> tuple[int, bool, npt.NDArray[np.bool_]]:
    """Return the first slot from `start` on where a row with these offsets fits.

    Returns:
        The slot, whether it was not among the first that were tried, and `used`, which may have grown.
    """
    window, tried = _WINDOW, 0
    farthest = int(offsets[-1])
    while True:
        if start + window + farthest > len(used):
            used = np.concatenate([used, np.zeros(window + farthest + len(used), np.bool_)])
        taken = used[start : start + window].copy()
        for offset in offsets[1:].tolist():
            taken |= used[start + offset : start + offset + window]
        place = int(taken.argmin())
        if not taken[place]:
            return start + place, tried + place > _WINDOW, used
        start, tried, window = start + window, tried + window, 2 * window


def _take_each_at_least(used: npt.NDArray[np.bool_], lowest: Ints) -> Ints:
    """Return a free slot for each of these numbers, which rise, that is not below it."""
    more = np.arange(len(used), len(used) + len(lowest) + int(lowest.max(initial=0)))
    free = np.concatenate([np.flatnonzero(~used), more])
    # The i-th takes a slot at or above its number, and above that of the one before.
    rows = np.arange(len(lowest))
    return free[np.maximum.accumulate(np.searchsorted(free, lowest) - rows) + rows]
