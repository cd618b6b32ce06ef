"""`tokenizers` with a cache of words: words repeat, so few are tokenized twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from portvec._encoders import PlainEncoder
from portvec._splitting import Splitting
from portvec._tokens import Ids, TokenIds, offsets_of
from portvec._word_table import ALONE_ONLY, LONGEST, WordTable

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
        if any(part in joined for part in self._whole):
            whole = np.array([any(part in text for part in self._whole) for text in encoded])
            if whole.any():
                return self._partly(texts, whole)
        bounds = offsets_of(np.fromiter(map(len, encoded), np.int64, len(encoded)) + 1)
        text = joined if self._splitting.fold is None else joined.translate(self._splitting.fold)
        return self._encode(texts, text + b" " * LONGEST, bounds)

    def _partly(self, texts: Sequence[str], whole: npt.NDArray[np.bool_]) -> TokenIds:
        """Tokenize some of the texts whole."""
        lengths = np.empty(len(texts), dtype=np.int64)
        parts = []
        for rows, encode in ((whole, self._plain.encode), (~whole, self.encode)):
            tokens = encode([texts[row] for row in np.flatnonzero(rows).tolist()])
            lengths[rows] = np.diff(tokens.offsets)
            parts.append(tokens.ids)
        from_whole = np.repeat(whole, lengths)
        ids = np.empty(len(from_whole), dtype=np.int64)
        ids[from_whole], ids[~from_whole] = parts
        return TokenIds(ids, offsets_of(lengths))

    def _encode(self, texts: Sequence[str], joined: bytes, bounds: Ids) -> TokenIds:
        starts, lengths = self._splitting.words(joined, bounds)
        table = self._table or self._new_table()
        places = table.find(joined, starts, lengths)
        unknown = np.flatnonzero(places == 0)
        if len(unknown):
            ends = starts[unknown] + lengths[unknown]
            words = [joined[i:j] for i, j in zip(starts[unknown].tolist(), ends.tolist(), strict=True)]
            distinct = list(dict.fromkeys(words))
            if sum(map(len, distinct)) > _MAX_UNKNOWN * len(joined):
                return self._plain.encode(texts)
            found = self._learn(table, distinct)
            if found is None:  # full: start over; other threads go on with the one they hold
                self._table = None
                return self._plain.encode(texts)
            index = dict(zip(distinct, found.tolist(), strict=True))
            places[unknown] = np.fromiter(map(index.__getitem__, words), np.int64, len(words))
        refused = starts[places == ALONE_ONLY]
        if len(refused):
            whole = np.zeros(len(texts), dtype=np.bool_)
            whole[np.searchsorted(bounds, refused, side="right") - 1] = True
            return self._partly(texts, whole)
        tokens = table.gather(places)
        return TokenIds(tokens.ids, tokens.offsets[np.searchsorted(starts, bounds)])

    def _learn(self, table: WordTable, words: list[bytes]) -> Ids | None:
        strings = [word.decode() for word in words]
        alone = np.fromiter(map(self._splitting.stands_alone, strings), np.bool_, len(words))
        tokens = self._plain.encode(strings, self._splitting.words_free_of)
        return table.add(words, tokens, alone)

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
