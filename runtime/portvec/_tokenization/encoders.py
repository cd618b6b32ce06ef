"""Tokenizer implementations: `tokenizers` itself, a cache over it, and faster libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import AddedToken
from tokenizers import Tokenizer as HuggingFaceTokenizer

from portvec._cores import use_no_pool_after_fork
from portvec._tokenization.cutting import depends_on_position
from portvec._tokenization.tokenizer import Encoder, TokenIds, offsets_of
from portvec.errors import ArtifactError

if TYPE_CHECKING:
    import numpy.typing as npt

# Put between texts so that one call of `tokenizers` handles many: its cost for each call is that of several
# words. Added tokens split a text before anything else happens to it, so what lies between two of them is
# tokenized as if alone. A noncharacter, which no text for interchange may hold; texts that do are tokenized
# by a second tokenizer without it.
_SEPARATOR = "\U0010fffe"
_JOINED_CHARACTERS = 8192

# With that few, `tokenizers` is done before a faster encoder is loaded.
_FIRST_CHARACTERS = 20_000

use_no_pool_after_fork()


class PlainEncoder:
    """`tokenizers` on whole texts: the reference for every other encoder.

    `parallel` allows its own pool, of one thread per core.
    """

    name = "tokenizers"
    separator = _SEPARATOR

    def __init__(self, path: Path, *, parallel: bool = True) -> None:
        self._path = path
        self._parallel = parallel
        self.tokenizer = load_tokenizer(path)
        self._without_separator: HuggingFaceTokenizer | None = None
        self._begins: npt.NDArray[np.bool_] | None = None
        self._apart = depends_on_position(self.tokenizer)
        self.tokenizer.add_special_tokens([AddedToken(_SEPARATOR, normalized=False, special=True)])

    def encode(self, texts: Sequence[str], free_of: str | None = None) -> TokenIds:
        """See `Encoder`.

        `free_of`: a character that no text holds, that is split off from what is beside it, and alone gives
        its token. It costs less between texts than an added token.
        """
        if free_of is not None:
            return self._split(texts, free_of)
        if self._apart or any(_SEPARATOR in text for text in texts):
            if self._without_separator is None:
                self._without_separator = load_tokenizer(self._path)
            return _flat(list(self._ids(self._without_separator, texts)))
        return self._split(texts, _SEPARATOR)

    def encode_joined(self, words: Sequence[str], mark: str) -> TokenIds:
        """Encode words whose first token begins with a mark, and no other: nothing between them is needed."""
        if self._begins is None:
            vocabulary = self.tokenizer.get_vocab()
            self._begins = np.zeros(max(vocabulary.values()) + 1, dtype=np.bool_)
            self._begins[[token_id for token, token_id in vocabulary.items() if token.startswith(mark)]] = (
                True
            )
        ids = np.fromiter(chain.from_iterable(self._ids(self.tokenizer, list(_joined(words, "")))), np.int64)
        starts = np.flatnonzero(self._begins[ids])
        if len(starts) != len(words):  # some first token is unknown: no word has two
            return self.encode(words)
        return TokenIds(ids, np.append(starts, len(ids)))

    def _split(self, texts: Sequence[str], separator: str) -> TokenIds:
        separator_id = self.tokenizer.token_to_id(separator)
        assert separator_id is not None
        # A separator ends every text, the last of a joined one too.
        runs = self._ids(self.tokenizer, list(_joined(texts, separator)))
        lists = (chain(ids, (separator_id,)) for ids in runs)
        ids = np.fromiter(chain.from_iterable(lists), dtype=np.int64)
        ends = ids == separator_id
        return TokenIds(ids[~ends], offsets_of(np.diff(np.flatnonzero(ends), prepend=-1) - 1))

    def _ids(self, tokenizer: HuggingFaceTokenizer, texts: Sequence[str]) -> Iterator[list[int]]:
        if self._parallel and len(texts) > 1:
            return (encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False))
        # A little slower, but in this thread.
        return (tokenizer.encode(text, add_special_tokens=False).ids for text in texts)


class GrowingEncoder:
    """`tokenizers` for the first texts, then an encoder that is faster and takes longer to load.

    Half of what a program takes from its start to the first vector would go into that.
    """

    def __init__(self, first: Encoder, then: Callable[[], Encoder]) -> None:
        self._encoder: Encoder | None = None
        self._first = first
        self._then = then
        self._characters = 0
        self._lock = Lock()

    @property
    def name(self) -> str:
        """Of the encoder that many texts are given to."""
        return self._grown().name

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """See `Encoder`."""
        if self._encoder is None:
            with self._lock:
                first = self._first if self._encoder is None else None
                self._characters += sum(map(len, texts))
            if first is not None and self._characters <= _FIRST_CHARACTERS:
                return first.encode(texts)
        return self._grown().encode(texts)

    def _grown(self) -> Encoder:
        with self._lock:
            if self._encoder is None:
                self._encoder = self._then()
                del self._first, self._then  # not needed any more, and the vocabulary is large
            return self._encoder


class NanotokenEncoder:
    """WordPiece by the nanotoken library, of the extra `fast`."""

    name = "nanotoken"

    def __init__(self, path: Path, *, parallel: bool = True) -> None:
        import nanotoken

        self._tokenizer = nanotoken.Tokenizer(str(path))
        # None leaves the choice to it: parallel, but not in a forked child.
        self._parallel = None if parallel else False

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """See `Encoder`."""
        found = self._tokenizer.encode_batch(texts, add_special_tokens=False, parallel=self._parallel)
        return TokenIds(found.ids.astype(np.int64), found.offsets)


def load_tokenizer(path: Path) -> HuggingFaceTokenizer:
    """Return tokenizer.json without stored padding, which would add rows to the mean, and truncation.

    Raises:
        ArtifactError: it is not a tokenizer.
    """
    try:
        tokenizer = HuggingFaceTokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise ArtifactError(f"{path}: not a tokenizer that can be loaded ({error})") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _joined(texts: Sequence[str], separator: str) -> Iterable[str]:
    """Yield runs of texts with the separator between them, of about `_JOINED_CHARACTERS`."""
    run: list[str] = []
    size = 0
    for text in texts:
        run.append(text)
        size += len(text) + 1
        if size >= _JOINED_CHARACTERS:
            yield separator.join(run)
            run, size = [], 0
    if run:
        yield separator.join(run)


def _flat(lists: list[list[int]]) -> TokenIds:
    bounds = offsets_of(np.fromiter(map(len, lists), dtype=np.int64, count=len(lists)))
    return TokenIds(np.fromiter(chain.from_iterable(lists), np.int64, count=int(bounds[-1])), bounds)
