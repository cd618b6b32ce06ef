"""Unigram: of all ways to write a word with pieces, the one whose scores have the largest sum."""

from __future__ import annotations

from array import array
from collections.abc import MutableSequence, Sequence
from itertools import compress
from typing import Final

import numpy as np

from portvec._vocabulary.blocks import encode_in_blocks
from portvec._vocabulary.byte_fallback import ByteFallback
from portvec._vocabulary.file import VocabularyFile
from portvec._vocabulary.lattice import BestPieces, find_best_pieces
from portvec._vocabulary.token_ids import TokenIds, flatten, merge, offsets_of
from portvec._vocabulary.trie import Trie, view

# Scores up to this size have a finite sum, however long a word is.
LARGEST_SCORE: Final = 1e200

# How much lower the score of an unknown character is than that of any piece.
_PENALTY = 10.0

# Lists of numbers take several times the memory of arrays, which matters for words of this length.
_LONG = 1 << 12


class Unigram:
    """The model of a file whose type is Unigram.

    A character that is no piece counts as one with a low score. Among ways with the same sum, the last piece
    is the longest that can be the last, and so on backwards. Unknown pieces that follow each other are one
    token.
    """

    def __init__(self, file: VocabularyFile) -> None:
        """Use the facts and arrays of a file.

        Raises:
            ArtifactError: one of them is missing or not what it must be.
        """
        self._trie = Trie(file)
        self._unk_id = file.id_of_model("unk_id")
        self._score = score = file.array("score", "float64")
        if not (score.min() >= -LARGEST_SCORE and score.max() <= LARGEST_SCORE):
            raise file.error(f"a score is not a number from {-LARGEST_SCORE} to {LARGEST_SCORE}")
        if self._trie.largest_id >= len(score):
            raise file.error(f"a piece has the id {self._trie.largest_id}, but there are {len(score)} scores")
        self._scores = view(score)
        self._unknown_score = float(score.min()) - _PENALTY
        with_bytes = file.fields("model").get("byte_fallback", bool)
        self._bytes = ByteFallback(file) if with_bytes else None

    def encode(self, words: Sequence[str]) -> TokenIds:
        """Return the ids of many words."""
        return encode_in_blocks(words, self._encode_block, self.encode_one)

    def encode_one(self, word: str) -> list[int]:
        """Return the ids of one word."""
        base, check, token = self._trie.steps
        scores, unknown_score, unk_id = self._scores, self._unknown_score, self._unk_id
        symbols = self._trie.symbols_of(word)
        length = len(symbols)
        # Of the best way to each position: its sum, its last piece, and where that starts.
        sums: MutableSequence[float] = [-np.inf] * (length + 1)
        pieces: MutableSequence[int] = [0] * (length + 1)
        starts: MutableSequence[int] = [0] * (length + 1)
        if length > _LONG:
            sums, pieces, starts = array("d", sums), array("i", pieces), array("i", starts)
        sums[0] = 0.0
        root = base[0]
        for start, symbol in enumerate(symbols):
            before = sums[start]
            stop = start + 1
            state = root + symbol
            is_known = check[state] == 0
            piece = token[state] if is_known else -1
            total = before + (scores[piece] if piece >= 0 else unknown_score)
            if total > sums[stop]:
                sums[stop], pieces[stop], starts[stop] = total, piece if piece >= 0 else unk_id, start
            while is_known and stop < length:
                slot = base[state] + symbols[stop]
                if check[slot] != state:
                    break
                state = slot
                stop += 1
                piece = token[slot]
                if piece >= 0:
                    total = before + scores[piece]
                    if total > sums[stop]:
                        sums[stop], pieces[stop], starts[stop] = total, piece, start
        return self._read_back(word, pieces, starts)

    def _read_back(self, word: str, pieces: Sequence[int], starts: Sequence[int]) -> list[int]:
        ids: list[int] = []
        unk_id = self._unk_id
        position = len(word)
        while position:
            piece, start = pieces[position], starts[position]
            if piece == unk_id:
                stop = position
                while start and pieces[start] == unk_id:
                    start = starts[start]
                ids += reversed(self._name_unknown(word[start:stop]))
            else:
                ids.append(piece)
            position = start
        ids.reverse()
        return ids

    def _name_unknown(self, text: str) -> list[int]:
        """Return the ids of unknown pieces that follow each other: they may be a piece after all."""
        token_id = self._trie.find_one(text)
        if token_id >= 0:
            return [token_id]
        spelled = self._bytes.spell(text) if self._bytes else None
        return [self._unk_id] if spelled is None else spelled

    def _encode_block(self, words: list[str]) -> TokenIds:
        best = find_best_pieces(self._trie, self._score, self._unknown_score, words)
        if best is None:
            return flatten([self.encode_one(word) for word in words])
        best.ids[best.ids < 0] = self._unk_id
        is_unknown = best.ids == self._unk_id
        if not is_unknown.any():
            return best.tokens()
        if self._bytes is None:
            return self._fuse(best)
        has_unknown = np.zeros(len(words), dtype=np.bool_)
        has_unknown[best.owners[is_unknown]] = True
        kept = ~has_unknown[best.owners]
        rest = flatten([self.encode_one(word) for word in compress(words, has_unknown.tolist())])
        counts = np.bincount(best.owners[kept], minlength=len(words))[~has_unknown]
        return merge(~has_unknown, TokenIds(best.ids[kept], offsets_of(counts)), rest)

    def _fuse(self, best: BestPieces) -> TokenIds:
        """Make one token of unknown pieces that follow each other."""
        is_unknown = best.ids == self._unk_id
        goes_on = np.zeros(len(is_unknown), dtype=np.bool_)
        goes_on[1:] = is_unknown[1:] & is_unknown[:-1] & (best.owners[1:] == best.owners[:-1])
        fused = best.keep(~goes_on)
        runs = np.flatnonzero(fused.ids == self._unk_id)
        starts = fused.starts[runs]
        found = self._trie.find(fused.symbols, starts, fused.stops()[runs] - starts)
        fused.ids[runs[found >= 0]] = found[found >= 0]
        return fused.tokens()
