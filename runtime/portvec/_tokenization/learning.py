"""Having words tokenized by `tokenizers`, which loads the vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact
from portvec._failures import failures_become
from portvec._tokenization import library
from portvec._tokenization.backends.huggingface import PlainEncoder
from portvec._tokenization.cutting import ALONE, CuttingRules
from portvec._tokenization.proven_cuts import find_cutting_rules
from portvec._tokenization.tokenizer import Encoder
from portvec._tokenization.word_cache import WordEncoder
from portvec._vocabulary.token_ids import Ids, TokenIds, merge
from portvec._vocabulary.word_table import DEPENDS, LONGEST, WordTable
from portvec.errors import ArtifactError

if TYPE_CHECKING:
    import numpy.typing as npt


def open_library(artifact: Artifact, *, parallel: bool) -> PlainEncoder:
    """Return the encoder that runs an artifact's tokenizer.json in `tokenizers`.

    Raises:
        ArtifactError: it is not a tokenizer.
    """
    return PlainEncoder(artifact.path(fmt.TOKENIZER), artifact.read(fmt.TOKENIZER), parallel=parallel)


def cache_words(
    plain: PlainEncoder, artifact: Artifact, name: str, make_table: Callable[[], WordTable]
) -> Encoder:
    """Return an encoder of this name that caches words over `plain`; `plain` itself if texts cannot be cut.

    Raises:
        ArtifactError: it is not a tokenizer that can be run.
    """
    path = artifact.path(fmt.TOKENIZER)
    with failures_become(
        lambda why: ArtifactError(
            f"{path}: not a tokenizer that can be run ({why}); copy or download it again"
        )
    ):
        rules = find_cutting_rules(library.describe_parts(plain.tokenizer))
    if rules is None:
        return plain
    return WordEncoder(name, LibraryLearner(plain, rules), rules, make_table=make_table)


class LibraryLearner:
    """Has many words tokenized in each call, because a call costs as much as several words."""

    def __init__(self, plain: PlainEncoder, rules: CuttingRules) -> None:
        self._plain = plain
        self._rules = rules
        # How many characters a word of WordPiece may have. Other models may split the separator, or join it.
        self._longest = library.longest_word(plain.tokenizer)
        separates = self._longest is not None and rules.separator is not None
        has_separator = separates and library.find_id(plain.tokenizer, rules.separator or "") is not None
        self._separator = rules.separator if has_separator else None

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """Return the ids of whole texts."""
        return self._plain.encode(texts)

    def learn(self, words: list[str]) -> tuple[TokenIds, npt.NDArray[np.bool_]]:
        """Return the ids of words, and which have these ids in any text."""
        judged = np.fromiter(map(self._rules.judge, words), np.int64, len(words))
        if self._rules.mark is None:
            tokens = self._encode_separated(words)
        else:
            tokens = self._encode_joined(words, judged, self._rules.mark)
        return tokens, judged != DEPENDS

    def list_known_words(self) -> tuple[list[bytes], TokenIds]:
        """Return the words of the vocabulary that reach WordPiece as they are.

        Each is one token, because no piece that is longer than the word can match. The marks of punctuation
        are among them if one of them separates words, because that one cannot be learnt.
        """
        known: dict[bytes, int] = {}
        if self._longest is not None:
            vocabulary = library.read_vocabulary(self._plain.tokenizer, with_added=False)
            longest = min(self._longest, LONGEST)
            kept = (word for word in vocabulary if len(word) <= longest and self._rules.keeps(word))
            known = {word.encode(): vocabulary[word] for word in kept}
        marks = [chr(code) for code in range(33, 127) if self._separator and not chr(code).isalnum()]
        of_marks = self._plain.encode(marks)
        ids = np.concatenate([np.fromiter(known.values(), np.int64, len(known)), of_marks.ids])
        offsets = np.concatenate([np.arange(len(known)), of_marks.offsets + len(known)])
        return [*known, *(mark.encode() for mark in marks)], TokenIds(ids, offsets)

    def _encode_joined(self, words: list[str], judged: Ids, mark: str) -> TokenIds:
        """Encode words, those without a separator between them that can be proven to be right so."""
        joins = judged > ALONE
        joined, is_proven = self._plain.encode_joined(_select(words, joins), judged[joins], mark)
        joins[joins] = is_proven
        return merge(joins, joined, self._encode_separated(_select(words, ~joins)))

    def _encode_separated(self, words: list[str]) -> TokenIds:
        if self._separator is None:
            return self._plain.encode(words)
        return self._plain.encode_separated(words, self._separator)


def _select(words: list[str], chosen: npt.NDArray[np.bool_]) -> list[str]:
    return [words[row] for row in np.flatnonzero(chosen).tolist()]
