"""The pieces of a vocabulary as a trie over symbols, in arrays.

A symbol is the number of a character that occurs in a piece; 0 is every other character. The trie is laid out
by row displacement: the child of state s by symbol c is t = base[s] + c if check[t] is s. State 0 is the root.
token[t] is the id of the piece that ends at t, negative if none does.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from portvec._vocabulary.file import VocabularyFile
from portvec._vocabulary.layout import Int32

if TYPE_CHECKING:
    import numpy.typing as npt

_PAGES = 0x110000 >> 8


class Trie:
    """A trie whose every step stays inside its arrays, whatever the state and the symbol.

    That is checked once, here, so walks need no checks of their own.

    Attributes:
        base: int32 (slots,).
        check: int32 (slots,).
        token: int32 (slots,).
    """

    def __init__(self, file: VocabularyFile) -> None:
        """Use the arrays of a file.

        Raises:
            ArtifactError: an array is missing or of another type, or a step could leave the arrays.
        """
        self._pages = file.array("symbol_pages", "int32", _PAGES)
        self._symbols = file.array("symbols", "int32")
        if self._pages.min() < 0 or self._pages.max() + 256 > len(self._symbols):
            raise file.error("an element of 'symbol_pages' points outside 'symbols'")
        self.base: Int32 = file.array("base", "int32")
        self.check: Int32 = file.array("check", "int32", len(self.base))
        self.token: Int32 = file.array("token", "int32", len(self.base))
        largest = int(self.base.max()) + int(self._symbols.max())
        if self._symbols.min() < 0 or self.base.min() < 0 or largest >= len(self.base):
            raise file.error("a step of the trie leaves its arrays")

    def symbols(self, codes: npt.NDArray[np.integer]) -> Int32:
        """Return the symbol of each code point."""
        pages = self._pages.take(codes >> 8, mode="clip")
        return self._symbols.take(pages + (codes & 255), mode="clip")

    @cached_property
    def steps(self) -> tuple[memoryview, memoryview, memoryview]:
        """`base`, `check` and `token` for walks in Python: an element of a memoryview is an int at once."""
        return memoryview(self.base), memoryview(self.check), memoryview(self.token)

    @cached_property
    def _symbol_tables(self) -> tuple[memoryview, memoryview]:
        return memoryview(self._pages), memoryview(self._symbols)

    def symbols_of(self, word: str) -> list[int]:
        """Return the symbol of each character of a word."""
        pages, symbols = self._symbol_tables
        return [symbols[pages[code >> 8] + (code & 255)] for code in map(ord, word)]
