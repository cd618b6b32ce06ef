"""The `tokenizers` library: the reference for every other backend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from tokenizers import AddedToken, Tokenizer

from portvec._tokenization.components import depends_on_position
from portvec._tokenization.forks import disable_pool_after_fork
from portvec._tokenization.token_ids import TokenIds, flatten, offsets_of
from portvec.errors import ArtifactError

if TYPE_CHECKING:
    import numpy.typing as npt

NAME: Final = "tokenizers"

# A call of `tokenizers` costs as much as several words, so texts are joined with this character between them.
# Added tokens split a text before anything else happens to it, so what is between two of them gets the ids
# that it gets alone. The character is a noncharacter, which text for interchange must not contain. Texts that
# do are tokenized by a second tokenizer, which does not know it.
SEPARATOR: Final = "\U0010fffe"
_JOINED_CHARACTERS = 8192

disable_pool_after_fork()


class PlainEncoder:
    """`tokenizers` on whole texts.

    `content` is that of tokenizer.json at `path`, which is read if it is not given. `parallel` allows its own
    pool of one thread per core.
    """

    name = NAME

    def __init__(self, path: Path, content: bytes | None = None, *, parallel: bool = True) -> None:
        self._path = path
        self._content = path.read_bytes() if content is None else content
        self._parallel = parallel
        self.tokenizer = load_tokenizer(self._content, path)
        self._without_separator: Tokenizer | None = None
        self._begins: npt.NDArray[np.bool_] | None = None
        self._is_joinable = not depends_on_position(self.tokenizer)
        self.tokenizer.add_special_tokens([AddedToken(SEPARATOR, normalized=False, special=True)])

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """Return ids without special tokens, padding or truncation."""
        if self._is_joinable and not any(SEPARATOR in text for text in texts):
            return self.encode_separated(texts, SEPARATOR)
        if self._without_separator is None:
            self._without_separator = load_tokenizer(self._content, self._path)
        return flatten(list(self._ids(self._without_separator, texts)))

    def encode_separated(self, texts: Sequence[str], separator: str) -> TokenIds:
        """Encode texts that are joined with `separator`.

        No text may contain the separator, which must be split off from its neighbours and have a token of its
        own. A character of the vocabulary costs less than an added token.
        """
        separator_id = self.tokenizer.token_to_id(separator)
        assert separator_id is not None
        # Add the separator after the last text of each run too, so that every text ends with one.
        runs = self._ids(self.tokenizer, list(_join(texts, separator)))
        lists = (chain(ids, (separator_id,)) for ids in runs)
        ids = np.fromiter(chain.from_iterable(lists), dtype=np.int64)
        ends = ids == separator_id
        return TokenIds(ids[~ends], offsets_of(np.diff(np.flatnonzero(ends), prepend=-1) - 1))

    def encode_joined(self, words: Sequence[str], mark: str) -> TokenIds:
        """Encode words that need no separator: only the first token of each begins with `mark`."""
        if self._begins is None:
            vocabulary = self.tokenizer.get_vocab()
            self._begins = np.zeros(max(vocabulary.values()) + 1, dtype=np.bool_)
            marked = [token_id for token, token_id in vocabulary.items() if token.startswith(mark)]
            self._begins[marked] = True
        ids = np.fromiter(chain.from_iterable(self._ids(self.tokenizer, list(_join(words, "")))), np.int64)
        starts = np.flatnonzero(self._begins[ids])
        if len(starts) != len(words):  # the first token of some word is unknown
            return self.encode(words)
        return TokenIds(ids, np.append(starts, len(ids)))

    def _ids(self, tokenizer: Tokenizer, texts: Sequence[str]) -> Iterator[list[int]]:
        if self._parallel and len(texts) > 1:
            return (encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False))
        # This is a little slower, but stays in this thread.
        return (tokenizer.encode(text, add_special_tokens=False).ids for text in texts)


def load_tokenizer(content: bytes, path: Path) -> Tokenizer:
    """Load tokenizer.json without its truncation and its padding, which would change the mean.

    `path` names it in errors.

    Raises:
        ArtifactError: the file is not a tokenizer.
    """
    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as error:  # the library raises bare Exception
        raise ArtifactError(f"{path}: not a tokenizer that can be loaded ({error})") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _join(texts: Sequence[str], separator: str) -> Iterator[str]:
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
