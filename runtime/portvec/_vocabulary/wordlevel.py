"""WordLevel: a word is one token, or unknown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from portvec._vocabulary.blocks import encode_in_blocks
from portvec._vocabulary.file import VocabularyFile
from portvec._vocabulary.layout import lay_out
from portvec._vocabulary.token_ids import TokenIds
from portvec._vocabulary.trie import Trie


class WordLevel:
    """The model of a file whose type is WordLevel."""

    def __init__(self, file: VocabularyFile) -> None:
        self._trie = Trie(file)
        self._unk_id = file.id_of_model("unk_id")

    def encode(self, words: Sequence[str]) -> TokenIds:
        """Return the ids of many words."""
        return encode_in_blocks(words, self._encode_block, self.encode_one)

    def encode_one(self, word: str) -> list[int]:
        """Return the id of one word."""
        token_id = self._trie.find_one(word)
        return [token_id if token_id >= 0 else self._unk_id]

    def _encode_block(self, words: list[str]) -> TokenIds:
        codes, starts, lengths = lay_out(words)
        ids = self._trie.find(self._trie.symbols(codes), starts, lengths)
        ids[ids < 0] = self._unk_id
        return TokenIds(ids, np.arange(len(words) + 1))
