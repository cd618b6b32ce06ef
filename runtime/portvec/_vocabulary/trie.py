"""The pieces of a vocabulary as a trie over symbols, in arrays.

A symbol is the number of a character that occurs in a piece; 0 is every other character. The trie is laid
out by row displacement: the child of state s by symbol c is t = base[s] + c if check[t] is s. State 0 is the
root. token[t] is the id of the piece that ends at t, negative if none does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from portvec._vocabulary.file import VocabularyFile
from portvec._vocabulary.layout import Int32
from portvec._vocabulary.token_ids import Ids

if TYPE_CHECKING:
    import numpy.typing as npt

_PAGES = 0x110000 >> 8


class Trie:
    """A trie whose every step stays inside its arrays, whatever the state and the symbol.

    Symbol 0 leads nowhere, so it ends every walk. Both are checked once, here, so walks need no checks of
    their own.

    Attributes:
        base: int32 (slots,).
        check: int32 (slots,).
        token: int32 (slots,).
        steps: the three as memoryviews, for walks in Python: an element of these is an int at once.
        largest_id: of any piece.
    """

    def __init__(self, file: VocabularyFile) -> None:
        """Use the arrays of a file.

        Raises:
            ArtifactError: an array is missing or of another type, or a step could leave the arrays.
        """
        pages, symbols = file.array("symbol_pages", "int32", _PAGES), file.array("symbols", "int32")
        if pages.min() < 0 or int(pages.max()) + 256 > len(symbols):
            raise file.error("an element of 'symbol_pages' points outside 'symbols'")
        self.base: Int32 = file.array("base", "int32")
        self.check: Int32 = file.array("check", "int32", len(self.base))
        self.token: Int32 = file.array("token", "int32", len(self.base))
        farthest = int(self.base.max()) + int(symbols.max())
        if symbols.min() < 0 or self.base.min() < 0 or farthest >= len(self.base):
            raise file.error("a step of the trie leaves its arrays")
        if (self.check.take(self.base, mode="clip") == np.arange(len(self.base), dtype=np.int32)).any():
            raise file.error("a step of the trie is one by symbol 0")
        self._pages, self._symbols = pages, symbols
        self._page_views = view(pages), view(symbols)
        self.steps = view(self.base), view(self.check), view(self.token)
        self.largest_id = int(self.token.max())

    def symbols(self, codes: npt.NDArray[np.int32]) -> Int32:
        """Return the symbol of each code point."""
        places = self._pages.take(codes >> 8, mode="clip")
        places += codes & 255
        symbols: Int32 = self._symbols.take(places, mode="clip")
        return symbols

    def symbols_of(self, word: str) -> list[int]:
        """Return the symbol of each character of a word."""
        pages, symbols = self._page_views
        return [symbols[pages[code >> 8] + (code & 255)] for code in map(ord, word)]

    def find(self, symbols: Int32, starts: Ids, lengths: Ids) -> Ids:
        """Return the id of the piece `symbols[start : start + length]` for each start, negative for none."""
        ids = np.full(len(starts), -1, dtype=np.int64)
        rows, states = np.arange(len(starts)), np.zeros(len(starts), dtype=np.int32)
        depth = 0
        while len(rows):
            slots = self.base.take(states, mode="clip")
            slots += symbols.take(starts[rows] + depth, mode="clip")
            there = self.check.take(slots, mode="clip") == states
            rows, states = rows[there], slots[there]
            depth += 1
            ended = lengths[rows] == depth
            ids[rows[ended]] = self.token.take(states[ended], mode="clip")
            rows, states = rows[~ended], states[~ended]
        return ids

    def find_one(self, word: str) -> int:
        """Return the id of the piece that a word is, negative if it is none."""
        state = self.state_after(word)
        return -1 if state is None else int(self.token[state])

    def state_after(self, text: str) -> int | None:
        """Return the state that the characters of a text lead to from the root, or None."""
        base, check, _ = self.steps
        pages, symbols = self._page_views
        state = 0
        for code in map(ord, text):
            slot = base[state] + symbols[pages[code >> 8] + (code & 255)]
            if check[slot] != state:
                return None
            state = slot
        return state


def view(array: npt.NDArray[Any]) -> memoryview:
    """Return a memoryview of an array, in this machine's order of bytes: Python reads no other."""
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return memoryview(array)  # type: ignore[arg-type]  # numpy's types for Python 3.10 do not say so
