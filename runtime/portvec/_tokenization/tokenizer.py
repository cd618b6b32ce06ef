"""Texts to token ids, by the rules of the model: characters cut, tokens cut, UNK dropped."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

import numpy as np

from portvec._artifact.manifest import Manifest
from portvec.errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt

Ids: TypeAlias = "npt.NDArray[np.int64]"


class TokenIds(NamedTuple):
    """Token ids of n texts, one after another.

    Attributes:
        ids: int64 (total,), the ids of all texts. UNK and special tokens that a tokenizer would add
            around a text are not among them.
        offsets: int64 (n + 1,), text i has `ids[offsets[i]:offsets[i + 1]]`.
    """

    ids: Ids
    offsets: Ids

    def __repr__(self) -> str:
        return f"TokenIds({len(self.offsets) - 1} texts, {len(self.ids)} ids)"

    def lists(self) -> list[list[int]]:
        """Return the ids as one list per text."""
        ids = self.ids.tolist()
        bounds = self.offsets.tolist()
        return [ids[start:stop] for start, stop in pairwise(bounds)]


class Encoder(Protocol):
    """A tokenizer implementation: all ids of each text, as `tokenizers` gives them."""

    @property
    def name(self) -> str:
        """Of the implementation."""

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """Return ids without special tokens, padding or truncation. Raises whatever it likes."""


class Tokenizer:
    """An encoder under the rules of a model, in the order of model2vec 0.10."""

    def __init__(self, encoder: Encoder, manifest: Manifest) -> None:
        self._encoder = encoder
        self._max_characters = manifest.max_characters
        self._max_length = manifest.max_length
        self._unk_id = manifest.unk_id

    @property
    def name(self) -> str:
        """Of the implementation in use."""
        return self._encoder.name

    def __call__(self, texts: Sequence[str], first: int = 0) -> TokenIds:
        """Return the token ids of `texts`; errors count them from `first`.

        The first `max_characters` code points, then the first `max_length` tokens, then without UNK.

        Raises:
            InputError: a text holds a lone surrogate, which no encoding of Unicode can express.
        """
        if self._max_characters is not None:
            texts = [text[: self._max_characters] for text in texts]
        tokens = self._encode(texts, first)
        return _without(_first(tokens, self._max_length), self._unk_id)

    def one(self, text: str) -> Ids:
        """Return the token ids (n,) of one text, by the same rules with less to do for each.

        Raises:
            InputError: it holds a lone surrogate.
        """
        ids = self._encode([text[: self._max_characters]], 0).ids[: self._max_length]
        # A list is sooner searched than an array this short.
        return ids[ids != self._unk_id] if self._unk_id in ids.tolist() else ids

    def _encode(self, texts: Sequence[str], first: int) -> TokenIds:
        try:
            return self._encoder.encode(texts)
        except Exception as error:  # every implementation has its own for text that is none
            _reject_surrogates(texts, first)
            raise InputError(f"texts cannot be tokenized ({error})") from error


def _first(tokens: TokenIds, count: int | None) -> TokenIds:
    """Keep the first `count` tokens of each text."""
    lengths = np.diff(tokens.offsets)
    if count is None or not len(lengths) or lengths.max() <= count:
        return tokens
    kept = np.ones(len(tokens.ids), dtype=np.bool_)
    for row in np.flatnonzero(lengths > count).tolist():
        kept[tokens.offsets[row] + count : tokens.offsets[row + 1]] = False
    return TokenIds(tokens.ids[kept], offsets_of(np.minimum(lengths, count)))


def _without(tokens: TokenIds, unk_id: int | None) -> TokenIds:
    if unk_id is None:
        return tokens
    unknown = np.flatnonzero(tokens.ids == unk_id)
    if not len(unknown):
        return tokens
    # Each offset moves left by the UNKs before it.
    offsets = tokens.offsets - np.searchsorted(unknown, tokens.offsets)
    return TokenIds(np.delete(tokens.ids, unknown), offsets)


def offsets_of(lengths: npt.NDArray[np.generic]) -> Ids:
    """Return the int64 (n + 1,) bounds of n consecutive runs of these lengths."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def check_texts(texts: Sequence[object], first: int = 0) -> list[str]:
    """Return `texts` as a list of str; errors count them from `first`.

    Raises:
        InputError: an element is not a str; the message names its index and type.
    """
    if set(map(type, texts)) <= {str}:  # subclasses of it are found below
        return list(texts)  # type: ignore[arg-type]
    for index, text in enumerate(texts, first):
        if not isinstance(text, str):
            raise InputError(
                f"texts[{index}] is a {type(text).__name__}, expected str; "
                "drop it or convert it before encoding"
            )
    return list(texts)  # type: ignore[arg-type]


def _reject_surrogates(texts: Sequence[str], first: int) -> None:
    for index, text in enumerate(texts, first):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(
                f"texts[{index}] holds the lone surrogate U+{ord(text[error.start]):04X} at character "
                f"{error.start}, which is not text; decode the source with errors='replace'"
            ) from error
