"""BPE: a word's characters are tokens, and neighbouring tokens are merged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from portvec._vocabulary.blocks import encode_in_blocks
from portvec._vocabulary.byte_fallback import ByteFallback
from portvec._vocabulary.file import VocabularyFile
from portvec._vocabulary.layout import lay_out
from portvec._vocabulary.merges import Merges
from portvec._vocabulary.merging import merge_one, merge_words
from portvec._vocabulary.token_ids import TokenIds, flatten, merge, offsets_of
from portvec._vocabulary.trie import Trie


class BPE:
    """The model of a file whose type is BPE."""

    def __init__(self, file: VocabularyFile) -> None:
        """Use the arrays and facts of a file.

        Raises:
            ArtifactError: one is missing, or is not what it must be.
        """
        fields = file.fields("model")
        self._trie = Trie(file)
        self._merges = Merges(file)
        has_unknown = fields.get("unk_id", int, nullable=True) is not None
        self._unknown = [file.id_of_model("unk_id")] if has_unknown else []
        self._fuse_unk: bool = fields.get("fuse_unk", bool)
        self._bytes = ByteFallback(file) if fields.get("byte_fallback", bool) else None
        self._whole_words: bool = fields.get("ignore_merges", bool)
        self._prefix: str = fields.get("continuing_subword_prefix", str)
        self._suffix: str = fields.get("end_of_word_suffix", str)
        self._known = _KnownPieces(self._trie)

    def encode(self, words: Sequence[str]) -> TokenIds:
        """Return the ids of many words."""
        return encode_in_blocks(words, self._encode_block, self.encode_one)

    def encode_one(self, word: str) -> list[int]:
        """Return the ids of one word."""
        if self._whole_words:
            token_id = self._trie.find_one(word)
            if token_id >= 0:
                return [token_id]
        return merge_one(self._merges, self._spell(word))

    def _encode_block(self, words: list[str]) -> TokenIds:
        if not self._whole_words:
            return self._merge(words)
        codes, starts, lengths = lay_out(words)
        ids = self._trie.find(self._trie.symbols(codes), starts, lengths)
        whole = ids >= 0
        found = ids[whole]
        rest = [words[row] for row in np.flatnonzero(~whole).tolist()]
        return merge(whole, TokenIds(found, np.arange(len(found) + 1)), self._merge(rest))

    def _merge(self, words: list[str]) -> TokenIds:
        if not words:
            return flatten([])
        spelled = self._spell_all(words)
        ids, bounds = spelled.ids.astype(np.int32), spelled.offsets
        merge_words(self._merges, ids, bounds[:-1], np.diff(bounds))
        kept = ids >= 0
        return TokenIds(ids[kept].astype(np.int64), offsets_of(kept)[bounds])

    def _spell_all(self, words: list[str]) -> TokenIds:
        """Return the tokens of the characters of many words."""
        if self._prefix or self._suffix:
            return flatten([self._spell(word) for word in words])
        trie = self._trie
        codes, starts, lengths = lay_out(words)
        inside = np.ones(len(codes), dtype=np.bool_)
        inside[starts + lengths] = False
        symbols = trie.symbols(codes[inside])
        slots = trie.base[:1] + symbols
        known = (trie.check.take(slots, mode="clip") == 0) & (symbols > 0)
        ids = np.where(known, trie.token.take(slots, mode="clip"), -1)
        offsets = offsets_of(lengths)
        unknown = np.logical_or.reduceat(ids < 0, offsets[:-1])
        if not unknown.any():
            return TokenIds(ids, offsets)
        rows = np.flatnonzero(unknown).tolist()
        rest = TokenIds(ids[np.repeat(~unknown, lengths)], offsets_of(lengths[~unknown]))
        return merge(unknown, flatten([self._spell(words[row]) for row in rows]), rest)

    def _spell(self, word: str) -> list[int]:
        """Return the tokens of the characters of a word."""
        parts: Sequence[str] = word
        if self._prefix or self._suffix:
            parts = [word[0], *(self._prefix + character for character in word[1:])]
            parts[-1] += self._suffix
        ids = list(map(self._known.__getitem__, parts))
        return self._replace_unknown(parts, ids) if min(ids) < 0 else ids

    def _replace_unknown(self, parts: Iterable[str], ids: list[int]) -> list[int]:
        """Return ids with bytes or the unknown token in the place of -1."""
        replaced: list[int] = []
        # The library holds an unknown token back until a known character comes. So it puts it behind the
        # bytes of characters that it can spell, and fuses it with the next one across them.
        pending: list[int] = []
        for part, token_id in zip(parts, ids, strict=True):
            spelled = None
            if token_id < 0 and self._bytes is not None:
                spelled = self._bytes.spell(part)
            if spelled is not None:
                replaced += spelled
            elif token_id < 0:
                if not self._fuse_unk:
                    replaced += pending
                pending = self._unknown
            else:
                replaced += [*pending, token_id]
                pending = []
        return replaced + pending


class _KnownPieces(dict[str, int]):
    """The ids of the pieces of a trie, which are filled in when they are first asked for; -1 for others."""

    def __init__(self, trie: Trie) -> None:
        super().__init__()
        self._trie = trie

    def __missing__(self, piece: str) -> int:
        token_id = self._trie.find_one(piece)
        if token_id >= 0:  # so there are never more than the vocabulary has
            self[piece] = token_id
        return token_id
