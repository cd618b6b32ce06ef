"""Laying out a trie by row displacement: all states share one array, each in slots that others leave free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from portvec._vocabulary.layout import lay_out

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints: TypeAlias = npt.NDArray[np.int64]

# Up to this many children, looking at one slot after the other is faster than numpy.
_FEW = 64
# After so many places that did not fit, later rows of the same length are tried from there on.
_TRIES = 8


def build_trie(pieces: Sequence[str], ids: npt.NDArray[np.integer[Any]]) -> dict[str, npt.NDArray[np.int32]]:
    """Return the arrays of a trie of pieces, which must be distinct and not empty.

    Args:
        pieces: at least one.
        ids: (n,) the id of each piece.

    Returns:
        int32 arrays `symbol_pages`, `symbols`, `base`, `check` and `token`. `base[s] + c` is inside the
        arrays for every state s and symbol c.
    """
    codes, starts, lengths = lay_out(pieces)
    characters, symbols = _number_characters(codes, len(pieces))
    del codes
    parents, steps, ends = _grow(symbols, starts, lengths)
    base, slots = displace_rows(parents, steps, len(parents) + 1)
    size = int(base.max()) + len(characters) + 1
    size = max(size, int(slots.max()) + 1)
    arrays = {name: np.full(size, -1, dtype=np.int32) for name in ("base", "check", "token")}
    arrays["base"][:] = 0
    arrays["base"][slots] = base
    arrays["check"][slots[1:]] = slots[parents]
    arrays["token"][slots[ends]] = ids
    return {**_tabulate(characters), **arrays}


def displace_rows(parents: Ints, steps: Ints, states: int) -> tuple[Ints, Ints]:
    """Find a slot for each state of a tree: that of a child by symbol c is the base of its parent plus c.

    Args:
        parents: (edges,) in rising order. Edge i leads to state i + 1.
        steps: (edges,) the symbol of each edge, at least 1, rising among the edges of one parent.
        states: how many states there are. State 0 is the root.

    Returns:
        The base of each state, at least 0, and its slot. The root has slot 0.
    """
    children = np.bincount(parents, minlength=states)
    base = np.zeros(states, dtype=np.int64)
    slots = np.zeros(states, dtype=np.int64)
    used = _Slots(2 * states + 4 * (int(steps.max(initial=0)) + 1))
    # States with many children first, because these fit into few places.
    many = np.flatnonzero(children > 1)
    many = many[np.argsort(-children[many], kind="stable")]
    first = np.cumsum(children) - children
    rows = zip(first[many].tolist(), children[many].tolist(), strict=True)
    base[many] = used.place_rows(steps.tolist(), rows)
    edges = np.flatnonzero(children[parents] > 1)
    slots[edges + 1] = base[parents[edges]] + steps[edges]
    # An only child fits anywhere, as long as the base of its parent is not negative.
    edges = np.flatnonzero(children[parents] == 1)
    edges = edges[np.argsort(steps[edges], kind="stable")]
    slots[edges + 1] = used.take_each_at_least(steps[edges])
    base[parents[edges]] = slots[edges + 1] - steps[edges]
    return base, slots


class _Slots:
    """Which slots are used. The first is the root's."""

    def __init__(self, capacity: int) -> None:
        self._used = bytearray(capacity)
        self._used[0] = 1

    def place_rows(self, steps: list[int], rows: Any) -> list[int]:
        """Return the base of each row of steps, which `rows` gives by first and number."""
        bases = []
        used = self._used
        start, previous = 1, 0
        for first, number in rows:
            row = steps[first : first + number]
            if number != previous:
                start, previous = 1, number
            lowest = row[0]
            slot, tries = self._fit(row, max(start, lowest))
            if tries > _TRIES:
                start = slot
            base = slot - lowest
            for step in row:
                used[base + step] = 1
            bases.append(base)
        return bases

    def _fit(self, row: list[int], start: int) -> tuple[int, int]:
        """Return the first slot from `start` on for the first step of a row, and how many did not fit."""
        used, lowest = self._used, row[0]
        if len(used) < start + 2 * row[-1]:
            used.extend(bytes(len(used) + 2 * row[-1]))
        rest = [step - lowest for step in row[1:]]
        farthest = rest[-1]
        offsets = np.array(rest) if len(rest) >= _FEW else None
        tries = 0
        slot = used.find(0, start)
        while True:
            if slot < 0 or slot + farthest >= len(used):
                used.extend(bytes(len(used) + farthest))
                if slot < 0:
                    slot = used.find(0, start)
            if offsets is not None:
                if not np.frombuffer(used, np.uint8)[offsets + slot].any():
                    return slot, tries
            else:
                for offset in rest:
                    if used[slot + offset]:
                        break
                else:
                    return slot, tries
            tries += 1
            slot = used.find(0, slot + 1)

    def take_each_at_least(self, lowest: Ints) -> Ints:
        """Return a free slot for each of these numbers, which rise, that is not below it."""
        free = np.flatnonzero(np.frombuffer(self._used, np.uint8) == 0)
        more = np.arange(len(self._used), len(self._used) + len(lowest) + int(lowest.max(initial=0)))
        free = np.concatenate([free, more])
        # The i-th takes a slot at or above its number, and above that of the one before.
        at = np.searchsorted(free, lowest)
        rows = np.arange(len(lowest))
        return free[np.maximum.accumulate(at - rows) + rows]


def _number_characters(codes: npt.NDArray[np.int32], words: int) -> tuple[Ints, npt.NDArray[np.int32]]:
    """Return the distinct characters, those that are frequent first, and the symbol of each code point.

    Small symbols for frequent characters keep the rows of the trie short. Character n has symbol n + 1.
    """
    counts = np.bincount(codes)
    counts[0] -= words  # the ends of the words
    characters = np.flatnonzero(counts)
    characters = characters[np.argsort(-counts[characters], kind="stable")]
    symbol_of = np.zeros(len(counts), dtype=np.int32)
    symbol_of[characters] = np.arange(1, len(characters) + 1)
    return characters, symbol_of[codes]


def _grow(symbols: npt.NDArray[np.int32], starts: Ints, lengths: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the parent and the symbol of each edge of the trie, and the state in which each word ends.

    States are numbered level by level, and in a level by parent and symbol. So the edges of a state follow
    each other, and edge i leads to state i + 1.
    """
    radix = int(symbols.max(initial=0)) + 1
    ends = np.zeros(len(starts), dtype=np.int64)
    active = np.arange(len(starts))
    parents, steps = [], []
    states, depth = 1, 0
    while len(active):
        edges, which = np.unique(ends[active] * radix + symbols[starts[active] + depth], return_inverse=True)
        parents.append(edges // radix)
        steps.append(edges % radix)
        ends[active] = states + which
        states += len(edges)
        depth += 1
        active = active[lengths[active] > depth]
    return np.concatenate(parents), np.concatenate(steps), ends


def _tabulate(characters: Ints) -> dict[str, npt.NDArray[np.int32]]:
    """Return the table from code points to symbols in two stages; all pages without a character are one."""
    table = np.zeros(0x110000, dtype=np.int32)
    table[characters] = np.arange(1, len(characters) + 1)
    rows = table.reshape(-1, 256)
    busy = np.flatnonzero(rows.any(axis=1))
    pages = np.zeros(len(rows), dtype=np.int32)
    pages[busy] = np.arange(1, len(busy) + 1) << 8
    symbols = np.concatenate([np.zeros(256, dtype=np.int32), rows[busy].reshape(-1)])
    return {"symbol_pages": pages, "symbols": symbols}
