"""The compiled vocabulary: words are searched in a file of the artifact, which is mapped and never loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from portvec._tokenization.cutting import CuttingRules
from portvec._tokenization.preparation import Preparation
from portvec._tokenization.proven_cuts import find_cutting_rules
from portvec._tokenization.skeleton import PreTokens, Skeleton
from portvec._vocabulary.characters import CharacterMap
from portvec._vocabulary.file import VocabularyFile
from portvec._vocabulary.models import open_model
from portvec._vocabulary.pre_tokens import open_pre_tokenizer
from portvec._vocabulary.token_ids import TokenIds, flatten, gather, merge, offsets_of, regroup
from portvec._vocabulary.word_table import DEPENDS

if TYPE_CHECKING:
    import numpy.typing as npt


class CompiledLearner:
    """Tokenizes words by a compiled vocabulary.

    `tokenizers`, without the vocabulary, is asked about texts with added tokens, and about words with a
    character that may change because of what stands beside it. It is imported when the first of them comes.

    Attributes:
        rules: how texts are cut into words.
    """

    def __init__(self, file: VocabularyFile, *, parallel: bool = False) -> None:
        """Use the vocabulary in `file`. `parallel` allows `tokenizers` its pool of threads.

        May raise any exception if the file does not hold what the exporter writes.
        """
        facts = file.facts["tokenizer"]
        self._model = open_model(file)
        self._characters = CharacterMap(file)
        self._pre_tokenizer = open_pre_tokenizer(file)
        self._skeleton = Skeleton(facts, parallel=parallel)
        rules = find_cutting_rules(Preparation.of(facts, self._normalize))
        if rules is None:
            raise file.error("has no rules for cutting texts into words")
        self.rules: CuttingRules = rules
        # If words do not begin with the space that they are cut at, all of them are doubtful.
        self._is_apart = not rules.space or self._characters.keeps(rules.space)

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """Return the ids of whole texts."""
        return self._search(self._skeleton.split(texts))

    def learn(self, words: list[str]) -> tuple[TokenIds, npt.NDArray[np.bool_]]:
        """Return the ids of words, and which have these ids in any text."""
        normalized, asks = self._characters.normalize(words)
        if self._pre_tokenizer is None:
            asks[:] = True
        ends = [text[-1:] for text in normalized]
        doubtful = set(filter(self.rules.may_depend, set(ends)))
        is_doubtful = asks | np.fromiter(map(doubtful.__contains__, ends), np.bool_, len(words))
        is_doubtful |= not self._is_apart
        is_alone = ~is_doubtful
        takes_any = self._pre_tokenizer is not None and self._pre_tokenizer.takes_any
        for row in np.flatnonzero(is_doubtful).tolist():
            text = self._normalize(words[row])
            is_alone[row] = self.rules.judge(words[row], text) != DEPENDS
            if takes_any and text:
                normalized[row] = text
                asks[row] = False
        asked = [words[row] for row in np.flatnonzero(asks).tolist()]
        others = [normalized[row] for row in np.flatnonzero(~asks).tolist()]
        return merge(asks, self.encode(asked), self._search(self._pre_tokenize(others))), is_alone

    def list_known_words(self) -> tuple[list[bytes], TokenIds]:
        """Return no words: to search for a word costs little more than to add it to a table."""
        return [], flatten([])

    def find_ids(self, word: str) -> Sequence[int] | None:
        """Return the ids that a word has in any text; None if it has none."""
        word.encode()  # raises the error that a batch would raise for a lone surrogate
        splitter = self._pre_tokenizer
        normalized = self._characters.normalize_one(word)
        if normalized is None or not self._is_apart or self.rules.may_depend(normalized[-1:]):
            text = self._normalize(word)
            if self.rules.judge(word, text) == DEPENDS:
                return None
            if normalized is None and splitter is not None and splitter.takes_any:
                normalized = text
        if not normalized or splitter is None:
            ids: list[int] = self.encode([word]).ids.tolist()
            return ids
        pieces = splitter.split_one(normalized)
        if len(pieces) == 1:
            return self._model.encode_one(pieces[0])
        return [token_id for piece in pieces for token_id in self._model.encode_one(piece)]

    def _normalize(self, text: str) -> str:
        return self._skeleton.normalize(text)

    def _pre_tokenize(self, words: list[str]) -> PreTokens:
        """Return the pre-tokens of normalized words that have no character to ask about."""
        if self._pre_tokenizer is None:
            return PreTokens([], np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64))
        pieces, counts = self._pre_tokenizer.split(words)
        distinct = list(dict.fromkeys(pieces))
        index = dict(zip(distinct, range(len(distinct)), strict=True))
        items = np.fromiter(map(index.__getitem__, pieces), np.int64, len(pieces))
        return PreTokens(distinct, items, offsets_of(counts))

    def _search(self, pre_tokens: PreTokens) -> TokenIds:
        """Return the ids of texts, given their pre-tokens and added tokens."""
        words, items, offsets = pre_tokens
        found = self._model.encode(words)
        added = np.flatnonzero(items < 0)
        if len(added):
            # An added token is a further word, and its id is the one that the item says.
            found = TokenIds(
                np.concatenate([found.ids, ~items[added]]),
                np.concatenate([found.offsets, found.offsets[-1] + 1 + np.arange(len(added))]),
            )
            items = items.copy()
            items[added] = len(words) + np.arange(len(added))
        return regroup(gather(found, items), offsets)
