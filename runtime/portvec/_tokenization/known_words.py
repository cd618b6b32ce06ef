"""The ids of a single text whose words are known: one look-up a word, without numpy until they are joined."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np

from portvec._tokenization.cutting import CuttingRules
from portvec._vocabulary.characters import SEPARATOR
from portvec._vocabulary.token_ids import Ids

# Ids of the words that are kept, and characters of a word: 3 MB at most. If they are more, it starts again.
MOST_IDS: Final = 1 << 15
_LONGEST_WORD = 64
# Characters of a text. It costs less to find many new words together.
_LONGEST_TEXT = 2048


class LoneWords(Protocol):
    """Tokenizes one word at a time."""

    def find_ids(self, word: str) -> Sequence[int] | None:
        """Return the ids that a word has in any text; None if they depend on its neighbours.

        It is a word as `CuttingRules.cut_one` gives it. May raise any exception.
        """


class KnownWords:
    """Finds the ids of single texts, which it cuts at spaces, in a dict of words.

    A text is cut at every space here, and `CuttingRules` cuts at fewer of them. So a word is kept only if
    both cut it alike: it is not empty, and does not end with white space.

    It applies a model's rules to each word, so a text must be so short that truncation cannot matter. A word
    with more ids than it has characters is not kept, so the text's number of characters is a bound.
    """

    def __init__(
        self,
        words: LoneWords,
        rules: CuttingRules,
        *,
        max_length: int | None,
        unk_id: int | None,
        vocabulary_size: int,
        most_ids: int = MOST_IDS,
    ) -> None:
        """Keep words with at most `most_ids` ids together.

        A text that may have more tokens than `max_length` is left to a tokenizer, and so is one with an id
        that is not below `vocabulary_size`. `unk_id` is left out.
        """
        self._words = words
        self._rules = rules
        self._uncuttable = (*rules.uncuttable, SEPARATOR)
        # No word is kept that has an uncuttable part. One with a space is in no word, so texts are searched.
        self._with_space = [part for part in self._uncuttable if " " in part]
        # What tells the first word of a text from the others. Rules that need it do not cut texts with NUL.
        self._first = "\0" if rules.space else ""
        self._longest = min(_LONGEST_TEXT, _LONGEST_TEXT if max_length is None else max_length) - 1
        self._unk_id = unk_id
        self._vocabulary_size = vocabulary_size
        self._most_ids = most_ids
        self._clear()

    def _clear(self) -> None:
        # BERT's tokenizers drop spaces, so what is between two of them has no ids.
        known: dict[str, bytes] = {} if self._rules.space else {"": b""}
        self._known = known
        self._room = self._most_ids
        self._get: Callable[[str], bytes | None] = known.get

    def find(self, text: str) -> Ids | None:
        """Return the ids (n,) of a text, truncated and without UNK; None if only a tokenizer can find them.

        Raises whatever `find_ids` raises for a word.
        """
        if len(text) > self._longest or (self._first and self._first in text):
            return None
        if self._with_space and any(part in text for part in self._with_space):
            return None
        try:
            found = b"".join(map(self._get, (self._first + text).split(" ")))  # type: ignore[arg-type]
        except TypeError:  # a word is not known, for which `get` returns None
            return self._find_new(text)
        return np.frombuffer(found, np.int64)

    def _find_new(self, text: str) -> Ids | None:
        """Return the ids of a text with new words, and keep those."""
        if any(part in text for part in self._uncuttable):
            return None
        ids: list[bytes] = []
        for word in self._rules.cut_one(text):
            key = word[1:] if word[0] == self._rules.space else self._first + word
            found = self._get(key)
            if found is None:
                found = self._learn(word, key)
                if found is None:
                    return None
            ids.append(found)
        return np.frombuffer(b"".join(ids), np.int64)

    def _learn(self, word: str, key: str) -> bytes | None:
        """Return the ids of a word; None if they depend on its neighbours or on a limit, or are not valid."""
        found = self._words.find_ids(word)
        if found is None or len(found) > len(word) + (word[0] != " "):
            return None
        if found and not 0 <= min(found) <= max(found) < self._vocabulary_size:
            return None
        ids = array("q", [token_id for token_id in found if token_id != self._unk_id]).tobytes()
        if len(word) <= _LONGEST_WORD and not (self._rules.space and word[-1].isspace()):
            self._keep(key, ids, 1 + len(found))
        return ids

    def _keep(self, key: str, ids: bytes, size: int) -> None:
        if size > self._room:
            self._clear()
        if size <= self._room:
            self._room -= size
            self._known[key] = ids
