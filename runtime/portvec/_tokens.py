"""Texts to token ids, by the rules of the model: characters cut, tokens cut, UNK dropped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from portvec._manifest import Manifest
from portvec.errors import ArtifactError, InputError


class TokenIds(NamedTuple):
    """Token ids of n texts, one after another.

    Attributes:
        ids: int64 (total,), the ids of all texts. UNK and special tokens that a tokenizer would add
            around a text are not among them.
        offsets: int64 (n + 1,), text i has `ids[offsets[i]:offsets[i + 1]]`.
    """

    ids: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]

    def __repr__(self) -> str:
        return f"TokenIds({len(self.offsets) - 1} texts, {len(self.ids)} ids)"

    def lists(self) -> list[list[int]]:
        """Return the ids as one list per text."""
        ids = self.ids.tolist()
        bounds = self.offsets.tolist()
        return [ids[start:stop] for start, stop in pairwise(bounds)]


class HuggingFaceTokenizer:
    """The artifact's tokenizer.json run by the `tokenizers` library: the reference for every other."""

    name = "tokenizers"

    def __init__(self, path: Path, manifest: Manifest) -> None:
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise ArtifactError(f"{path}: not a tokenizer that can be loaded ({error})") from error
        # Stored padding would add rows to the mean; truncation is done here, on the flat ids.
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self._max_characters = manifest.max_characters
        self._max_length = manifest.max_length
        self._unk_id = manifest.unk_id

    def __call__(self, texts: Sequence[str]) -> TokenIds:
        """Return the token ids of `texts`.

        The order is model2vec 0.10's: the first `max_characters` code points, then the first
        `max_length` tokens, then UNK is removed.

        Raises:
            InputError: a text holds a lone surrogate, which no encoding of Unicode can express.
        """
        if self._max_characters is not None:
            texts = [text[: self._max_characters] for text in texts]
        try:
            encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        except (TypeError, UnicodeEncodeError) as error:
            _reject_surrogates(texts)
            raise InputError(f"texts cannot be tokenized ({error})") from error
        return _flatten((encoding.ids for encoding in encodings), self._max_length, self._unk_id)


def _flatten(lists: Iterable[list[int]], max_length: int | None, unk_id: int | None) -> TokenIds:
    cut = [ids[:max_length] for ids in lists]
    offsets = np.zeros(len(cut) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(len, cut), dtype=np.int64, count=len(cut)), out=offsets[1:])
    ids = np.fromiter(chain.from_iterable(cut), dtype=np.int64, count=int(offsets[-1]))
    if unk_id is not None:
        kept = ids != unk_id
        if not kept.all():
            # Each offset moves left by the UNKs before it.
            kept_before = np.concatenate([[0], np.cumsum(kept)])
            ids, offsets = ids[kept], kept_before[offsets]
    return TokenIds(ids, offsets)


def check_texts(texts: Sequence[object]) -> list[str]:
    """Return `texts` as a list of str.

    Raises:
        InputError: an element is not a str; the message names its index and type.
    """
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(
                f"texts[{index}] is a {type(text).__name__}, expected str; "
                "drop it or convert it before encoding"
            )
    return list(texts)  # type: ignore[arg-type]


def _reject_surrogates(texts: Sequence[str]) -> None:
    for index, text in enumerate(texts):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(
                f"texts[{index}] holds the lone surrogate U+{ord(text[error.start]):04X} at character "
                f"{error.start}, which is not text; decode the source with errors='replace'"
            ) from error
