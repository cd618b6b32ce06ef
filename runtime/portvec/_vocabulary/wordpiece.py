"""WordPiece: the longest piece that a word begins with, then the longest that goes on, and so forth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from portvec._vocabulary.blocks import encode_in_blocks, gather_by_word
from portvec._vocabulary.file import VocabularyFile
from portvec._vocabulary.layout import Int32, lay_out
from portvec._vocabulary.token_ids import Ids, TokenIds
from portvec._vocabulary.trie import Trie

# No word has more characters than this.
_UNLIMITED = 1 << 40


class WordPiece:
    """The model of a file whose type is WordPiece.

    Pieces that go on begin with a prefix such as "##". They lie in the same trie, below the state that the
    prefix leads to.
    """

    def __init__(self, file: VocabularyFile) -> None:
        fields = file.fields("model")
        self._trie = Trie(file)
        self._unk_id = file.id_of_model("unk_id")
        self._longest = min(fields.get("max_input_chars_per_word", int), _UNLIMITED)
        self._inside = self._trie.state_after(fields.get("continuing_subword_prefix", str))

    def encode(self, words: Sequence[str]) -> TokenIds:
        """Return the ids of many words."""
        return encode_in_blocks(words, self._encode_block, self.encode_one)

    def encode_one(self, word: str) -> list[int]:
        """Return the ids of one word."""
        length = len(word)
        if length > self._longest:
            return [self._unk_id]
        base, check, token = self._trie.steps
        symbols = self._trie.symbols_of(word)
        ids = []
        start = 0
        state: int | None = 0
        while state is not None:
            found = stop = -1
            for at in range(start, length):
                slot = base[state] + symbols[at]
                if check[slot] != state:
                    break
                state = slot
                if token[slot] >= 0:
                    found, stop = token[slot], at + 1
            if found < 0:
                break
            ids.append(found)
            if stop == length:
                return ids
            start, state = stop, self._inside
        return [self._unk_id]

    def _encode_block(self, words: list[str]) -> TokenIds:
        codes, starts, lengths = lay_out(words)
        stops = starts + lengths
        symbols = self._trie.symbols(codes)
        symbols[stops] = 0  # whatever the symbol of a NUL is
        unknown = lengths > self._longest
        rows = np.flatnonzero(~unknown)
        ats = starts[rows]
        state: int | None = 0
        ids, owners = [], []
        while len(rows) and state is not None:
            found, ats = self._match(symbols, ats, state)
            unknown[rows[found < 0]] = True
            some = found >= 0
            rows, ats = rows[some], ats[some]
            ids.append(found[some])
            owners.append(rows)
            more = ats < stops[rows]
            rows, ats = rows[more], ats[more]
            state = self._inside
        unknown[rows] = True
        bad = np.flatnonzero(unknown)
        owner = np.concatenate([*owners, bad])
        found = np.concatenate([*ids, np.full(len(bad), self._unk_id, dtype=np.int32)])
        kept = ~unknown[owner]
        kept[len(kept) - len(bad) :] = True
        return gather_by_word(found[kept], owner[kept], len(words))

    def _match(self, symbols: Int32, ats: Ids, state: int) -> tuple[Int32, Ids]:
        """Return the id of the longest piece at each place, negative if there is none, and where it ends."""
        trie = self._trie
        found, stops = np.full(len(ats), -1, dtype=np.int32), ats.copy()
        rows, states = np.arange(len(ats)), np.full(len(ats), state, dtype=np.int32)
        while len(rows):
            steps = symbols.take(ats, mode="clip")
            slots = trie.base.take(states, mode="clip") + steps
            there = np.flatnonzero(trie.check.take(slots, mode="clip") == states)
            rows, states, ats = rows[there], slots[there], ats[there] + 1
            tokens = trie.token.take(states, mode="clip")
            hit = np.flatnonzero(tokens >= 0)
            found[rows[hit]], stops[rows[hit]] = tokens[hit], ats[hit]
        return found, stops
