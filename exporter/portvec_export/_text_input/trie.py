"""The pieces of a vocabulary as a trie in a graph, and walks through it.

The arrays are those of `portvec_export._vocabulary.pieces.compile_trie`: the child of state s by symbol c is
the slot base[s] + c if check[slot] is s. The root is state 0. Symbol 0 leads nowhere.

The methods take the graph to add their nodes to, because a walk may happen in the body of a loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.flat import count, find_true, take


class PieceTrie:
    """A trie, stored in a graph.

    Attributes:
        depths: int32 (slots,), characters from the root to each state; 0 for slots without a state.
        longest: characters of the longest piece.
    """

    def __init__(self, graph: Graph, arrays: Mapping[str, npt.NDArray[Any]], name: str = "pieces") -> None:
        """Store the arrays under names that begin with `name`."""
        self._arrays = {key: np.ascontiguousarray(arrays[key], np.int32) for key in _ARRAYS}
        self._stored = {key: graph.tensor(f"{name}.{key}", array) for key, array in self._arrays.items()}
        self.depths = _find_depths(self._arrays["check"])
        self.longest = int(self.depths.max())

    def symbols(self, graph: Graph, codes: Value) -> Value:
        """Return the symbol, int32 (n,), of each code, int32 (n,): 0 if no piece has it or it is negative."""
        known = graph.maximum(codes, np.int32(0))
        high = graph.div(known, np.int32(256))
        low = graph.sub(known, graph.mul(high, np.int32(256)))
        place = graph.add(take(graph, self._stored["symbol_pages"], high), low)
        symbols = take(graph, self._stored["symbols"], place)
        return graph.where(graph.node("Less", codes, np.int32(0)), np.int32(0), symbols)

    def step(self, graph: Graph, states: Value, symbols: Value) -> tuple[Value, Value]:
        """Go from states, int32 (n,), by symbols, int32 (n,).

        Returns:
            slots, int32 (n,), which are the next states where there is one, and bool (n,), where that is so.
        """
        slots = graph.add(take(graph, self._stored["base"], states), symbols)
        return slots, graph.equal(take(graph, self._stored["check"], slots), states)

    def token(self, graph: Graph, states: Value) -> Value:
        """Return the id, int32 (n,), of the piece that ends at each state; negative if none does."""
        return take(graph, self._stored["token"], states)

    def state_after(self, text: str) -> int | None:
        """Return the state that the characters of a text lead to from the root, or None."""
        arrays = self._arrays
        state = 0
        for code in map(ord, text):
            symbol = arrays["symbols"][arrays["symbol_pages"][code >> 8] + (code & 255)]
            slot = int(arrays["base"][state] + symbol)
            if arrays["check"][slot] != state:
                return None
            state = slot
        return state

    def last_pieces(self, root: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Return, for each slot, the longest piece on the way from `root` to it, if it lies below `root`.

        Returns:
            the id of the piece, int32 (slots,), -1 if there is none, and its characters below `root`, int32
            (slots,), 0 if there is none.
        """
        check, token = self._arrays["check"], self._arrays["token"]
        best, lengths = np.full(len(check), -1, np.int32), np.zeros(len(check), np.int32)
        level = np.array([root])
        below = 0
        children = _list_children(check)
        while len(level):
            level = children(level)
            below += 1
            parents = check[level]
            ends = token[level] >= 0
            best[level] = np.where(ends, token[level], best[parents])
            lengths[level] = np.where(ends, below, lengths[parents])
        best[root], lengths[root] = -1, 0
        return best, lengths

    def walk(self, graph: Graph, symbols: Value, places: Value, states: Value, limit: int) -> Value:
        """Return the last state, int32 (k,), on the way from each place on.

        Args:
            graph: to add the nodes to.
            symbols: int32 (n,). The last is 0, so every walk ends.
            places: int64 (k,), where the walks begin.
            states: int32 (k,), their first states.
            limit: the most characters that any way has.
        """
        rows = find_true(graph, graph.equal(states, states))

        def advance(body: Graph, trip: Value, values: list[Value]) -> tuple[Value, list[Value]]:
            last, rows, places, states = values
            slots, found = self.step(body, states, take(body, symbols, body.add(places, trip)))
            going = find_true(body, found)
            rows, places, states = (take(body, each, going) for each in (rows, places, slots))
            last = body.node("ScatterElements", last, rows, states, axis=0)
            return is_any(body, rows), [last, rows, places, states]

        types = [(np.int32, ["walks"]), *((each, ["active"]) for each in (np.int64, np.int64, np.int32))]
        values = [states, rows, places, states]
        return graph.loop(values, advance, types, trips=np.int64(limit), condition=is_any(graph, rows))[0]


def is_any(graph: Graph, values: Value) -> Value:
    """Return whether there are any values (n,), as bool ()."""
    return graph.squeeze(graph.node("Greater", count(graph, values), np.int64(0)), 0)


_ARRAYS = ("symbol_pages", "symbols", "base", "check", "token")


def _list_children(check: npt.NDArray[np.int32]) -> Any:
    """Return a function that gives the slots of all children of some slots."""
    order = np.argsort(check, kind="stable")
    parents = check[order]

    def children(slots: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
        first, last = (np.searchsorted(parents, slots, side) for side in ("left", "right"))
        counts = last - first
        offsets = np.repeat(first - (np.cumsum(counts) - counts), counts)
        return np.asarray(order[offsets + np.arange(counts.sum())], np.int64)

    return children


def _find_depths(check: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    depths = np.zeros(len(check), np.int32)
    children = _list_children(check)
    level, depth = np.array([0], np.int64), 0
    while len(level):
        depths[level] = depth
        level, depth = children(level), depth + 1
    return depths
