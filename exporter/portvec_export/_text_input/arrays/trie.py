"""The pieces of a vocabulary as a trie in a graph, and walks through it.

The arrays are those of `portvec_export._vocabulary.pieces.compile_trie`: the child of state s by symbol c is
the slot base[s] + c if check[slot] is s. The root is state 0. Symbol 0 leads nowhere.

The methods take the graph to add their nodes to, because a walk may happen in the body of a loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Type, Value
from portvec_export._text_input.arrays.flat import find_true, is_any, look_up, make_table, take

Arrays: TypeAlias = dict[str, npt.NDArray[np.int32]]


class PieceTrie:
    """A trie, stored in a graph.

    Attributes:
        longest: characters of the longest piece.
    """

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]], name: str = "pieces") -> None:
        """Use these arrays. Those that a graph needs are stored in it under names that begin with `name`."""
        self._name = name
        self._arrays: Arrays = {key: np.ascontiguousarray(arrays[key], np.int32) for key in _ARRAYS}
        self._symbols = make_table(self._arrays["symbol_pages"], self._arrays["symbols"])
        self.longest = sum(1 for _ in list_levels(self._arrays["check"]))

    def _tensor(self, graph: Graph, name: str) -> Value:
        if name not in self._arrays:
            self._arrays |= self._find_last_pieces()
        return graph.tensor(f"{self._name}.{name}", self._arrays[name])

    def symbols(self, graph: Graph, codes: Value) -> Value:
        """Return the symbol, int32 (n,), of each code, int32 (n,): 0 if no piece has it or it is negative."""
        return look_up(graph, codes, self._symbols, (f"{self._name}.symbol_pages", f"{self._name}.symbols"))

    def step(self, graph: Graph, states: Value, symbols: Value) -> tuple[Value, Value]:
        """Go from states, int32 (n,), by symbols, int32 (n,).

        Returns:
            slots, int32 (n,), which are the next states where there is one, and bool (n,), where that is so.
        """
        slots = graph.add(take(graph, self._tensor(graph, "base"), states), symbols)
        return slots, graph.equal(take(graph, self._tensor(graph, "check"), slots), states)

    def step_from(self, graph: Graph, state: int, symbols: Value) -> tuple[Value, Value]:
        """Go from one state by symbols, int32 (n,). Returns what `step` does."""
        base = self._arrays["base"][state]
        slots = graph.add(symbols, base) if base else symbols
        return slots, graph.equal(take(graph, self._tensor(graph, "check"), slots), np.int32(state))

    def token(self, graph: Graph, states: Value) -> Value:
        """Return the id, int32 (n,), of the piece that ends at each state; negative if none does."""
        return take(graph, self._tensor(graph, "token"), states)

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

    def last_piece(self, graph: Graph, states: Value) -> tuple[Value, Value]:
        """Return the longest piece on the way from the root to each state, int32 (n,).

        Returns:
            the id of the piece, int32 (n,), -1 if there is none, and its length, int32 (n,), 0 if there is
            none.
        """
        ids, lengths = (self._tensor(graph, name) for name in ("last_ids", "last_lengths"))
        return take(graph, ids, states), take(graph, lengths, states)

    def _find_last_pieces(self) -> Arrays:
        check, token = self._arrays["check"], self._arrays["token"]
        ids, lengths = np.full(len(check), -1, np.int32), np.zeros(len(check), np.int32)
        for depth, slots in enumerate(list_levels(check), 1):
            parents, is_end = check[slots], token[slots] >= 0
            ids[slots] = np.where(is_end, token[slots], ids[parents])
            lengths[slots] = np.where(is_end, depth, lengths[parents])
        return {"last_ids": ids, "last_lengths": lengths}

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

        types: list[Type] = [(each, [None]) for each in (np.int32, np.int64, np.int64, np.int32)]
        values = [states, rows, places, states]
        return graph.loop(values, advance, types, trips=np.int64(limit), condition=is_any(graph, rows))[0]


_ARRAYS = ("symbol_pages", "symbols", "base", "check", "token")


def list_levels(check: npt.NDArray[np.int32]) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the slots of the states of each depth, from 1 on."""
    order = np.argsort(check, kind="stable")
    parents = check[order]
    slots = np.zeros(1, np.int64)
    while True:
        first, last = (np.searchsorted(parents, slots, side) for side in ("left", "right"))
        counts = last - first
        if not counts.any():
            return
        # The children of a state follow each other in this order.
        offsets = np.repeat(first - np.cumsum(counts) + counts, counts)
        slots = order[offsets + np.arange(counts.sum())]
        yield slots
