"""A tokenizer with a cache of words. Words repeat, so few of them are tokenized twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from portvec._tokenization.cutting import CuttingRules
from portvec._vocabulary.characters import SEPARATOR
from portvec._vocabulary.token_ids import Ids, TokenIds, gather, merge, offsets_of, regroup
from portvec._vocabulary.word_table import DEPENDS, LONGEST, WordTable

if TYPE_CHECKING:
    import numpy.typing as npt

# Tokenizing fewer bytes than this is faster than looking up their words.
_MIN_BYTES = 1500
# The place of the first word that a table did not keep. The next ones are at the numbers below.
_NOT_KEPT = DEPENDS - 1
# Tokenizing whole texts is faster if unknown words make up more than this share of the bytes.
_MAX_UNKNOWN = 0.75


class WordLearner(Protocol):
    """Tokenizes words, and texts that cannot be cut into words."""

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """Return the ids of whole texts, without special tokens, padding or truncation."""

    def learn(self, words: list[str]) -> tuple[TokenIds, npt.NDArray[np.bool_]]:
        """Return the ids of words that `CuttingRules.cut` gave, and which have these ids in any text."""

    def list_known_words(self) -> tuple[list[bytes], TokenIds]:
        """Return words whose ids are known from the start."""


class WordEncoder:
    """Looks up the ids of words, and has unknown words tokenized once."""

    def __init__(
        self,
        name: str,
        learner: WordLearner,
        rules: CuttingRules,
        *,
        min_bytes: int = _MIN_BYTES,
        max_unknown: float = _MAX_UNKNOWN,
        make_table: Callable[[], WordTable] = WordTable,
    ) -> None:
        """Cache the words that `rules` cut and `learner` tokenizes.

        Texts of less than `min_bytes` in all, and texts in which unknown words make up more than the share
        `max_unknown` of the bytes, are tokenized whole.
        """
        self.name = name
        self._learner = learner
        self._rules = rules
        # Folded like the texts: a word is learnt as it is folded, and must not have become an added token.
        self._uncuttable = [self._fold(part.encode()) for part in (*rules.uncuttable, SEPARATOR)]
        self._min_bytes = min_bytes
        self._max_unknown = max_unknown
        self._make_table = make_table
        self._table: WordTable | None = None

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """Return ids without special tokens, padding or truncation."""
        encoded = [text.encode() for text in texts]
        joined = b"\n".join(encoded)
        if len(joined) < self._min_bytes:
            return self._learner.encode(texts)
        joined = self._fold(joined)
        whole = np.zeros(len(texts), dtype=np.bool_)
        if any(part in joined for part in self._uncuttable):
            whole[:] = [any(part in self._fold(text) for part in self._uncuttable) for text in encoded]
            joined = self._fold(
                b"\n".join(
                    b"" if is_whole else text for text, is_whole in zip(encoded, whole.tolist(), strict=True)
                )
            )
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        bounds = offsets_of(np.where(whole, 0, lengths) + 1)
        found = self._look_up(joined + b" " * LONGEST, bounds, whole)
        if found is None:
            return self._learner.encode(texts)
        tokens, whole = found
        if not whole.any():
            return tokens
        of_whole = self._learner.encode([texts[row] for row in np.flatnonzero(whole).tolist()])
        return merge(whole, of_whole, TokenIds(tokens.ids, offsets_of(np.diff(tokens.offsets)[~whole])))

    def _fold(self, text: bytes) -> bytes:
        """Map bytes that the tokenizer does not tell apart to one."""
        return text if self._rules.fold is None else text.translate(self._rules.fold)

    def _look_up(
        self, joined: bytes, bounds: Ids, whole: npt.NDArray[np.bool_]
    ) -> tuple[TokenIds, npt.NDArray[np.bool_]] | None:
        """Return the ids of the texts that start at `bounds`, and which texts must be tokenized whole.

        Those are the texts that `whole` marks, and texts with a word that depends on its neighbours. They get
        no ids here. Return None if all texts should be tokenized whole.
        """
        starts, lengths = self._rules.cut(joined, bounds)
        table = self._table or self._start_table()
        places = table.find(joined, starts, lengths)
        unknown = np.flatnonzero(places == 0)
        not_kept = None
        if len(unknown):
            ends = starts[unknown] + lengths[unknown]
            words = [joined[i:j] for i, j in zip(starts[unknown].tolist(), ends.tolist(), strict=True)]
            index = {word: row for row, word in enumerate(dict.fromkeys(words))}
            if sum(map(len, index)) > self._max_unknown * len(joined):
                return None
            found, is_alone = self._learner.learn([word.decode() for word in index])
            learnt = table.add(list(index), found, is_alone)
            if learnt is None:  # The table is full: start another. Other threads keep the one they hold.
                self._table, not_kept = None, found
                learnt = np.where(is_alone, _NOT_KEPT - np.arange(len(index)), DEPENDS)
            places[unknown] = learnt[np.fromiter(map(index.__getitem__, words), np.int64, len(words))]
        first_words = np.searchsorted(starts, bounds)
        dependent = np.flatnonzero(places == DEPENDS)
        if len(dependent):
            whole = whole.copy()
            whole[np.searchsorted(first_words, dependent, side="right") - 1] = True
            places[np.repeat(whole, np.diff(first_words))] = 0
        return regroup(_gather(table, places, not_kept), first_words), whole

    def _start_table(self) -> WordTable:
        """Replace the table with one that has only the words whose ids are known from the start."""
        table = self._make_table()
        table.add(*self._learner.list_known_words())
        self._table = table
        return table


def _gather(table: WordTable, places: Ids, not_kept: TokenIds | None) -> TokenIds:
    """Return the ids of the words at these places. `not_kept` has those that the table does not have."""
    if not_kept is None:
        return table.gather(places)
    is_missing = places <= _NOT_KEPT
    missing = gather(not_kept, _NOT_KEPT - places[is_missing])
    return merge(is_missing, missing, table.gather(places[~is_missing]))
