"""The rules of a model: which token ids of a text are pooled."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact
from portvec._failures import failures_become, is_failure
from portvec._messages import fold_lines
from portvec._tokenization.known_words import KnownWords
from portvec._tokenization.texts import refuse_surrogates
from portvec._vocabulary.token_ids import Ids, TokenIds, concatenate, drop, keep_first
from portvec.errors import ArtifactError, OptionError, PortvecError

# So many texts are faster to tokenize one by one if their words are known.
_FEW = 16


class Encoder(Protocol):
    """A tokenizer implementation. It gives all ids of each text, as `tokenizers` does."""

    @property
    def name(self) -> str:
        """Name that `info` and benchmarks print."""

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """Return ids without special tokens, padding or truncation. May raise any exception."""


class Tokenizer:
    """An encoder under the rules of a model, which are applied in the order of model2vec 0.10."""

    def __init__(
        self,
        encoder: Encoder,
        artifact: Artifact,
        known: KnownWords | None = None,
        file: str = fmt.TOKENIZER,
        *,
        has_limits: bool = False,
    ) -> None:
        """Use `encoder`, and `known` words for few texts if there are any. Errors name `file`.

        `has_limits` says that the encoder applies the model's rules itself, so that no others can apply.
        """
        manifest = artifact.manifest
        self._path = artifact.path(file)
        self._artifact = artifact
        self._encoder = encoder
        self._known = known
        self._vocabulary_size = manifest.vocabulary_size
        self._max_characters = manifest.max_characters
        self._max_length = manifest.max_length
        self._unk_id = manifest.unk_id
        self._cuts_characters = manifest.semantics != fmt.SENTENCE_TRANSFORMERS
        self._prompt = ""
        self._has_limits = has_limits

    def prompted(self, prompt: str) -> Tokenizer:
        """Return a tokenizer that puts `prompt` before each text, and shares all else with this one."""
        if not prompt:
            return self
        other = copy.copy(self)
        other._prompt = prompt
        return other

    @property
    def name(self) -> str:
        """Name of the encoder in use."""
        return self._encoder.name

    def keeping(self, max_length: int | None) -> Tokenizer:
        """Return a tokenizer that keeps `max_length` tokens of a text, or all if None.

        Under model2vec's rules, a limit is also one of characters: `max_length` times the median length of a
        token.

        Raises:
            OptionError: the encoder has a limit of its own, and it is another.
            ArtifactError: the tokens cannot be read, whose length is needed if the model has no limit.
        """
        if self._has_limits:
            if max_length == self._max_length:
                return self
            raise OptionError(
                f"max_length is {max_length}, but tokenizer={self.name!r} keeps {self._max_length or 'all'} "
                f"tokens of a text, as the model does; pass max_length={self._max_length}, or load the model "
                "with tokenizer='auto'"
            )
        other = copy.copy(self)
        other._max_length, other._max_characters = max_length, None
        if max_length is None:
            return other  # texts whose words are known are too short for any limit
        other._known = None
        if self._cuts_characters:
            other._max_characters = max_length * self._median_token_length
        return other

    @cached_property
    def _median_token_length(self) -> int:
        if self._max_length and self._max_characters is not None:
            return self._max_characters // self._max_length
        from portvec._tokenization import library  # imports `tokenizers`

        path = self._artifact.path(fmt.TOKENIZER)
        with failures_become(
            lambda why: ArtifactError(f"{path}: its tokens cannot be read ({why}); copy the folder again")
        ):
            tokenizer = library.load(bytes(self._artifact.read(fmt.TOKENIZER)))
            return int(np.median([len(token) for token in library.read_vocabulary(tokenizer)]))

    def tokenize(self, texts: Sequence[str], first: int = 0) -> TokenIds:
        """Return the token ids of `texts`. Errors count the texts from `first`.

        Puts the prompt before a text, keeps the first `max_characters` code points, then the first
        `max_length` tokens, and then drops UNK.

        Raises:
            InputError: a text has a lone surrogate, which no encoding of Unicode can express.
            ArtifactError: a token id is not in the table, or the encoder fails on texts that are valid.
        """
        if self._prompt:
            texts = [self._prompt + text for text in texts]
        if self._known is not None and len(texts) <= _FEW:
            found = [ids for ids in map(self._find_known, texts) if ids is not None]
            if len(found) == len(texts):
                return concatenate(found)
        if self._max_characters is not None:
            texts = [text[: self._max_characters] for text in texts]
        tokens = keep_first(self._encode(texts, first), self._max_length)
        if len(tokens.ids):
            # As unsigned numbers, negative ids are the largest.
            farthest = tokens.ids[tokens.ids.view(np.uint64).argmax()]
            check_id(self._path, int(farthest), self._vocabulary_size)
        return drop(tokens, self._unk_id)

    def tokenize_one(self, text: str) -> Ids:
        """Return the token ids (n,) of one text by the same rules, at a lower cost per call.

        Raises:
            InputError: the text has a lone surrogate.
            ArtifactError: a token id is not in the table, or the encoder fails, though the text is valid.
        """
        text = self._prompt + text
        known = self._find_known(text)
        if known is not None:
            return known
        ids = self._encode([text[: self._max_characters]], 0).ids[: self._max_length]
        # Searching a short list is faster than searching an array.
        found = ids.tolist()
        if found:
            check_id(self._path, max(found), self._vocabulary_size)
            check_id(self._path, min(found), self._vocabulary_size)
        return ids[ids != self._unk_id] if self._unk_id in found else ids

    def _find_known(self, text: str) -> Ids | None:
        """Return the token ids of one text by the same rules; None if only the encoder can find them."""
        if self._known is None:
            return None
        try:
            return self._known.find(text)
        except BaseException as error:  # the encoder meets the same, and its errors say what is wrong
            if not is_failure(error):
                raise
            return None

    def _encode(self, texts: Sequence[str], first: int) -> TokenIds:
        try:
            return self._encoder.encode(texts)
        except PortvecError:
            raise
        except BaseException as error:  # each encoder raises its own exceptions
            if not is_failure(error):
                raise
            refuse_surrogates([text[len(self._prompt) :] for text in texts], first)
            raise ArtifactError(
                f"{self._path}: fails on texts that are valid ({fold_lines(error)}); "
                "run 'portvec verify' on the artifact, and export again if that fails too"
            ) from error


def check_id(path: Path, token_id: int, vocabulary_size: int) -> None:
    """Refuse a token id that has no row in the table. `path` is the file that it comes from.

    The graphs take int32, to which such an id might be cast as that of another token.

    Raises:
        ArtifactError: the id is negative, or beyond the table.
    """
    if not 0 <= token_id < vocabulary_size:
        raise ArtifactError(
            f"{path}: has the token id {token_id}, but the table has vectors for 0 to {vocabulary_size - 1}; "
            "copy the folder again, or export again"
        )
