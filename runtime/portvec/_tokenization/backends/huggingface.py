"""The `tokenizers` library: the reference for every other backend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from portvec._artifact.files import Content, hold_file
from portvec._failures import failures_become
from portvec._tokenization import library
from portvec._tokenization.runs import split_runs
from portvec._vocabulary.characters import SEPARATOR
from portvec._vocabulary.components import depends_on_position
from portvec._vocabulary.token_ids import Ids, TokenIds, flatten, offsets_of
from portvec.errors import ArtifactError

if TYPE_CHECKING:
    import numpy.typing as npt


class PlainEncoder:
    """`tokenizers` on whole texts.

    A call costs as much as several words, so texts are joined with SEPARATOR between them. Added tokens split
    a text before anything else happens to it, so what is between two of them gets the ids that it gets alone.
    Texts that have the separator are tokenized by a second tokenizer, which does not know it. So are texts
    with a token that has the id of the separator: `tokenizers` gives it the number of tokens as its id, which
    a vocabulary with a gap may use.

    `content` is that of tokenizer.json at `path`, which is opened if it is not given. `parallel` allows its
    own pool of one thread per core. Raises ArtifactError if it is not a tokenizer.
    """

    name = "tokenizers"

    def __init__(self, path: Path, content: Content | None = None, *, parallel: bool = True) -> None:
        self._content = hold_file(path) if content is None else content
        self._parallel = parallel
        self._without_separator: library.Tokenizer | None = None
        self._spelling: _Spelling | None = None
        with failures_become(
            lambda why: ArtifactError(
                f"{path}: not a tokenizer that can be loaded ({why}); copy or download it again"
            )
        ):
            self.tokenizer = library.load(bytes(self._content))
            self._is_joinable = not depends_on_position(library.describe_parts(self.tokenizer).pre_tokenizers)
            library.add_separator(self.tokenizer, SEPARATOR)

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """Return ids without special tokens, padding or truncation."""
        if any(SEPARATOR in text for text in texts):
            return self._encode_each(texts)
        if len(texts) == 1 or not self._is_joinable:
            return flatten(list(self._ids(self.tokenizer, texts)))
        return self.encode_separated(texts, SEPARATOR)

    def encode_separated(self, texts: Sequence[str], separator: str) -> TokenIds:
        """Encode texts that are joined with `separator`.

        No text may contain the separator, which must be split off from its neighbours and have a token of its
        own. A character of the vocabulary costs less than an added token.
        """
        separator_id = library.find_id(self.tokenizer, separator)
        assert separator_id is not None
        # Add the separator after the last text of each run too, so that every text ends with one.
        runs = (separator.join(texts[part]) for part in split_runs(texts))
        lists = (chain(ids, (separator_id,)) for ids in self._ids(self.tokenizer, list(runs)))
        ids = np.fromiter(chain.from_iterable(lists), dtype=np.int64)
        is_end = ids == separator_id
        ends = np.flatnonzero(is_end)
        if len(ends) != len(texts):  # the vocabulary has another token with the id of the separator
            return self._encode_each(texts)
        return TokenIds(ids[~is_end], offsets_of(np.diff(ends, prepend=-1) - 1))

    def encode_joined(
        self, words: Sequence[str], spelled: Ids, mark: str
    ) -> tuple[TokenIds, npt.NDArray[np.bool_]]:
        """Encode words that are joined without a separator, and return which of them came out right.

        The first token of each word must begin with `mark`, and no other. The tokens of a word must spell the
        number of characters in `spelled`, int64 (n,). An unknown character breaks either rule. The ids are
        those of the words for which both hold.
        """
        if self._spelling is None:
            self._spelling = _Spelling(self.tokenizer, mark)
        runs = list(split_runs(words))
        is_right = np.zeros(len(words), dtype=np.bool_)
        ids, counts = [], []
        joined = ["".join(words[part]) for part in runs]
        for part, found in zip(runs, self._ids(self.tokenizer, joined), strict=True):
            of_run = np.array(found, dtype=np.int64)
            starts = self._spelling.find_starts(of_run)
            if len(starts) != part.stop - part.start:  # so words cannot be told from each other
                continue
            right = self._spelling.count_characters(of_run, starts) == spelled[part]
            of_words = np.diff(starts, append=len(of_run))
            is_right[part] = right
            ids.append(of_run[np.repeat(right, of_words)])
            counts.append(of_words[right])
        empty = np.zeros(0, dtype=np.int64)
        return TokenIds(np.concatenate([empty, *ids]), offsets_of(np.concatenate([empty, *counts]))), is_right

    def _encode_each(self, texts: Sequence[str]) -> TokenIds:
        """Encode texts one by one, by the tokenizer that does not know the separator."""
        if self._without_separator is None:
            self._without_separator = library.load(bytes(self._content))
        return flatten(list(self._ids(self._without_separator, texts)))

    def _ids(self, tokenizer: library.Tokenizer, texts: Sequence[str]) -> Iterator[list[int]]:
        return library.encode(tokenizer, texts, parallel=self._parallel)


class _Spelling:
    """How the tokens of a vocabulary are written."""

    def __init__(self, tokenizer: library.Tokenizer, mark: str) -> None:
        vocabulary = library.read_vocabulary(tokenizer)
        # Ids beyond this, which a vocabulary with gaps has, count as unknown. An array may not hold them.
        self._beyond = len(vocabulary)
        self._begins = np.zeros(self._beyond + 1, dtype=np.bool_)
        self._lengths = np.zeros(self._beyond + 1, dtype=np.int64)
        for token, token_id in vocabulary.items():
            if token_id < self._beyond:
                self._begins[token_id], self._lengths[token_id] = token.startswith(mark), len(token)

    def find_starts(self, ids: Ids) -> Ids:
        """Return the positions of ids whose token begins with the mark; none if the first is no such id."""
        starts = np.flatnonzero(self._begins[np.minimum(ids, self._beyond)])
        return starts if len(starts) and starts[0] == 0 else starts[:0]

    def count_characters(self, ids: Ids, starts: Ids) -> Ids:
        """Return the characters of the tokens from each start to the next."""
        counts: Ids = np.add.reduceat(self._lengths[np.minimum(ids, self._beyond)], starts)
        return counts
