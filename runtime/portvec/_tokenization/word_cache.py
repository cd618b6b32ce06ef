"""A tokenizer with a cache of words. Words repeat, so few of them are tokenized twice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from portvec._tokenization.cutting import CuttingRules
from portvec._vocabulary.characters import SEPARATOR
from portvec._vocabulary.token_ids import Ids, TokenIds, gather, join, merge, offsets_of, regroup
from portvec._vocabulary.word_table import DEPENDS, LONGEST, WordTable

if TYPE_CHECKING:
    import numpy.typing as npt

# Tokenizing fewer bytes than this is faster than looking up their words.
_MIN_BYTES = 1500
# Bytes of texts that are looked up together. The arrays for them then stay in a core's cache.
_PART_BYTES = 1 << 18
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
        self._uncuttable = _by_rare_byte(self._fold(part.encode()) for part in (*rules.uncuttable, SEPARATOR))
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
        if self._is_uncuttable(joined):
            whole[:] = [self._is_uncuttable(self._fold(text)) for text in encoded]
            joined = self._fold(
                b"\n".join(
                    b"" if is_whole else text for text, is_whole in zip(encoded, whole.tolist(), strict=True)
                )
            )
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        bounds = offsets_of(np.where(whole, 0, lengths) + 1)
        found = self._look_up(joined, bounds, whole)
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

    def _is_uncuttable(self, text: bytes) -> bool:
        """Return whether a folded text has a part that no word may have."""
        return any(
            byte in text and pattern().search(text) is not None for byte, pattern in self._uncuttable.items()
        )

    def _look_up(
        self, joined: bytes, bounds: Ids, whole: npt.NDArray[np.bool_]
    ) -> tuple[TokenIds, npt.NDArray[np.bool_]] | None:
        """Return the ids of the texts that start at `bounds`, and which texts must be tokenized whole.

        Those are the texts that `whole` marks, and texts with a word that depends on its neighbours. They get
        no ids here. Return None if all texts should be tokenized whole.
        """
        table = self._table or self._start_table()
        parts = [self._find(table, joined, bounds, rows) for rows in _split_rows(bounds)]
        words = dict.fromkeys(chain.from_iterable(part.words for part in parts))
        index = dict(zip(words, range(len(words)), strict=True))
        learnt, not_kept = np.zeros(0, dtype=np.int64), None
        if index:
            if sum(map(len, index)) > self._max_unknown * len(joined):
                return None
            learnt, not_kept = self._learn(table, list(index))
        whole = whole.copy()
        tokens = [part.gather(table, index, learnt, not_kept, whole) for part in parts]
        return join(tokens), whole

    def _find(self, table: WordTable, joined: bytes, bounds: Ids, rows: slice) -> _Part:
        """Look up the words of the texts at these rows."""
        bounds = bounds[rows.start : rows.stop + 1]
        first = int(bounds[0])
        text = joined[first : int(bounds[-1])] + b" " * LONGEST
        bounds = bounds - first
        starts, lengths = self._rules.cut(text, bounds)
        places = table.find(text, starts, lengths)
        unknown = np.flatnonzero(places == 0)
        ends = starts[unknown] + lengths[unknown]
        words = [text[i:j] for i, j in zip(starts[unknown].tolist(), ends.tolist(), strict=True)]
        return _Part(rows, places, np.searchsorted(starts, bounds), unknown, words)

    def _learn(self, table: WordTable, words: list[bytes]) -> tuple[Ids, TokenIds | None]:
        """Return the places of new words, and their ids if the table has no room for them."""
        tokens, is_alone = self._learner.learn(b"\0".join(words).decode().split("\0"))
        learnt = table.add(words, tokens, is_alone)
        if learnt is not None:
            return learnt, None
        if self._table is table:  # The next texts start another. Other threads keep the one they hold.
            self._table = None
        return np.where(is_alone, _NOT_KEPT - np.arange(len(words)), DEPENDS), tokens

    def _start_table(self) -> WordTable:
        """Replace the table with one that has only the words whose ids are known from the start."""
        table = self._make_table()
        table.add(*self._learner.list_known_words())
        self._table = table
        return table


class _Part(NamedTuple):
    """What was found of some of the texts.

    Attributes:
        rows: of the texts.
        places: of their words in the table, 0 where one is unknown.
        first_words: bounds of the texts among the words.
        unknown: which words are unknown.
        words: those words.
    """

    rows: slice
    places: Ids
    first_words: Ids
    unknown: Ids
    words: list[bytes]

    def gather(
        self,
        table: WordTable,
        index: Mapping[bytes, int],
        learnt: Ids,
        not_kept: TokenIds | None,
        whole: npt.NDArray[np.bool_],
    ) -> TokenIds:
        """Return the ids of the texts. Mark in `whole` those that have a word that depends on its neighbours.

        `learnt` has the place of each word in `index`. `not_kept` has their ids if the table has no room.
        """
        places, first_words = self.places, self.first_words
        if self.words:
            places[self.unknown] = learnt[
                np.fromiter(map(index.__getitem__, self.words), np.int64, len(self.words))
            ]
        dependent = np.flatnonzero(places == DEPENDS)
        if len(dependent):
            own = whole[self.rows]  # a view
            own[np.searchsorted(first_words, dependent, side="right") - 1] = True
            places[np.repeat(own, np.diff(first_words))] = 0
        if not_kept is None:
            tokens = table.gather(places)
        else:
            is_missing = places <= _NOT_KEPT
            missing = gather(not_kept, _NOT_KEPT - places[is_missing])
            tokens = merge(is_missing, missing, table.gather(places[~is_missing]))
        return regroup(tokens, first_words)


def _by_rare_byte(parts: Iterable[bytes]) -> dict[bytes, Callable[[], re.Pattern[bytes]]]:
    """Return patterns that find parts of texts, by a byte of each that few texts have.

    One byte is found faster than several. No pattern is compiled before its byte is met.
    """
    grouped: dict[bytes, list[bytes]] = {}
    for part in parts:
        grouped.setdefault(bytes(sorted(part, key=_rarity)[:1]), []).append(re.escape(part))
    return {byte: cache(partial(re.compile, b"|".join(group))) for byte, group in grouped.items()}


def _rarity(byte: int) -> tuple[bool, int]:
    """Return a key that is small for a byte that few texts have.

    Letters, digits and spaces are in most. Of the others, the highest begin characters, and a text has few
    different ones of these. Lower ones go on with characters.
    """
    character = bytes([byte])
    return character.isalnum() or character.isspace(), -byte


def _split_rows(bounds: Ids) -> Iterator[slice]:
    """Yield the rows of texts in parts of about `_PART_BYTES`."""
    start, rows = 0, len(bounds) - 1
    while start < rows:
        stop = int(np.searchsorted(bounds, bounds[start] + _PART_BYTES, side="right")) - 1
        stop = min(max(stop, start + 1), rows)
        yield slice(start, stop)
        start = stop
