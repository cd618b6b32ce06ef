"""`tokenizers` with a cache of words: words repeat, so few are tokenized twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from portvec._tokenization.cutting import Splitting, Standing
from portvec._tokenization.encoders import PlainEncoder
from portvec._tokenization.tokenizer import Ids, TokenIds, offsets_of
from portvec._tokenization.word_table import ALONE_ONLY, LONGEST, WordTable

if TYPE_CHECKING:
    import numpy.typing as npt

# Fewer bytes than this are tokenized sooner than looked up.
_MIN_BYTES = 1500
# Where unknown words make up more than this share of the bytes, whole texts are tokenized sooner.
_MAX_UNKNOWN = 0.75


class WordEncoder:
    """Looks up the ids of words, and has those that it lacks tokenized once."""

    name = "tokenizers, caching words"

    def __init__(self, plain: PlainEncoder, splitting: Splitting) -> None:
        self._plain = plain
        self._splitting = splitting
        self._whole = [*splitting.whole, plain.separator.encode()]
        self._table: WordTable | None = None

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """See `Encoder`."""
        encoded = [text.encode() for text in texts]
        joined = b"\n".join(encoded)
        if len(joined) < _MIN_BYTES:
            return self._plain.encode(texts)
        whole = np.zeros(len(texts), dtype=np.bool_)
        if any(part in joined for part in self._whole):
            whole[:] = [any(part in text for part in self._whole) for text in encoded]
            joined = b"\n".join(
                b"" if cut else text for text, cut in zip(encoded, whole.tolist(), strict=True)
            )
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        bounds = offsets_of(np.where(whole, 0, lengths) + 1)
        if self._splitting.fold is not None:
            joined = joined.translate(self._splitting.fold)
        tokens = self._look_up(joined + b" " * LONGEST, bounds, whole)
        if tokens is None:
            return self._plain.encode(texts)
        if not whole.any():
            return tokens
        of_whole = self._plain.encode([texts[row] for row in np.flatnonzero(whole).tolist()])
        return _merged(whole, of_whole, TokenIds(tokens.ids, offsets_of(np.diff(tokens.offsets)[~whole])))

    def _look_up(self, joined: bytes, bounds: Ids, whole: npt.NDArray[np.bool_]) -> TokenIds | None:
        """Return the ids of texts that start at `bounds`; None if it is better not to cut them.

        Adds texts with a word that does not stand alone to `whole`, and returns no ids for them.
        """
        starts, lengths = self._splitting.words(joined, bounds)
        table = self._table or self._new_table()
        places = table.find(joined, starts, lengths)
        unknown = np.flatnonzero(places == 0)
        if len(unknown):
            ends = starts[unknown] + lengths[unknown]
            words = [joined[i:j] for i, j in zip(starts[unknown].tolist(), ends.tolist(), strict=True)]
            distinct = list(dict.fromkeys(words))
            if sum(map(len, distinct)) > _MAX_UNKNOWN * len(joined):
                return None
            found = self._learn(table, distinct)
            if found is None:  # full: start over; other threads go on with the one they hold
                self._table = None
                return None
            index = dict(zip(distinct, found.tolist(), strict=True))
            places[unknown] = np.fromiter(map(index.__getitem__, words), np.int64, len(words))
        first_words = np.searchsorted(starts, bounds)
        refused = np.flatnonzero(places == ALONE_ONLY)
        if len(refused):
            whole[np.searchsorted(first_words, refused, side="right") - 1] = True
            places[np.repeat(whole, np.diff(first_words))] = 0
        tokens = table.gather(places)
        return TokenIds(tokens.ids, tokens.offsets[first_words])

    def _learn(self, table: WordTable, words: list[bytes]) -> Ids | None:
        cuts = self._splitting
        strings = [word.decode() for word in words]
        standing = np.fromiter(map(cuts.standing, strings), np.int8, len(words))
        joins = standing == Standing.JOINS
        if cuts.mark is None or not joins.any():
            tokens = self._plain.encode(strings, cuts.words_free_of)
        else:
            joined = self._plain.encode_joined(
                [strings[row] for row in np.flatnonzero(joins).tolist()], cuts.mark
            )
            rest = self._plain.encode([strings[row] for row in np.flatnonzero(~joins).tolist()])
            tokens = _merged(joins, joined, rest)
        return table.add(words, tokens, standing != Standing.DEPENDS)

    def _new_table(self) -> WordTable:
        table = WordTable()
        marks = [bytes([code]) for code in range(33, 127) if not chr(code).isalnum()]
        if self._splitting.words_free_of:  # the mark between words is not among those to learn
            table.add(marks, self._plain.encode([mark.decode() for mark in marks]))
        known = self._splitting.known()
        ids = np.fromiter(known.values(), np.int64, len(known))
        table.add(list(known), TokenIds(ids, np.arange(len(ids) + 1)))
        self._table = table
        return table


def _merged(first: npt.NDArray[np.bool_], of_first: TokenIds, of_rest: TokenIds) -> TokenIds:
    """Return the ids of all texts from those of the ones that `first` marks and those of the rest."""
    lengths = np.empty(len(first), dtype=np.int64)
    lengths[first], lengths[~first] = np.diff(of_first.offsets), np.diff(of_rest.offsets)
    from_first = np.repeat(first, lengths)
    ids = np.empty(len(from_first), dtype=np.int64)
    ids[from_first], ids[~from_first] = of_first.ids, of_rest.ids
    return TokenIds(ids, offsets_of(lengths))
