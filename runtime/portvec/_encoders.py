"""Tokenizer implementations: `tokenizers` itself, a cache over it, and faster libraries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from tokenizers import AddedToken
from tokenizers import Tokenizer as HuggingFaceTokenizer

from portvec._tokens import Ids, TokenIds, offsets_of
from portvec.errors import ArtifactError

# Put between texts so that one call of `tokenizers` handles many: its cost for each call is that of several
# words. Added tokens split a text before anything else happens to it, so what lies between two of them is
# tokenized as if alone. A noncharacter, which no text for interchange may hold; texts that do are tokenized
# by a second tokenizer without it.
_SEPARATOR = "\U0010fffe"
_JOINED_CHARACTERS = 2048

# Chunks kept by the cache, and characters in them: about 60 MB at the most.
_CACHE_CHUNKS = 300_000
_CACHE_CHARACTERS = 8_000_000


class PlainEncoder:
    """`tokenizers` on whole texts: the reference for every other encoder."""

    name = "tokenizers"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tokenizer = load_tokenizer(path)
        self._without_separator: HuggingFaceTokenizer | None = None
        self._tokenizer.add_special_tokens([AddedToken(_SEPARATOR, normalized=False, special=True)])
        self._separator_id = self._tokenizer.token_to_id(_SEPARATOR)

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """See `Encoder`."""
        if any(_SEPARATOR in text for text in texts):
            if self._without_separator is None:
                self._without_separator = load_tokenizer(self._path)
            encodings = self._without_separator.encode_batch_fast(texts, add_special_tokens=False)
            return _flat([encoding.ids for encoding in encodings])
        encodings = self._tokenizer.encode_batch_fast(list(_joined(texts)), add_special_tokens=False)
        # A separator ends every text, the last of a joined one too.
        lists = (chain(encoding.ids, (self._separator_id,)) for encoding in encodings)
        ids = np.fromiter(chain.from_iterable(lists), dtype=np.int64)
        ends = ids == self._separator_id
        return TokenIds(ids[~ends], offsets_of(np.diff(np.flatnonzero(ends), prepend=-1) - 1))


class ChunkEncoder:
    """Remembers the ids of chunks between spaces: words repeat, so few are tokenized twice.

    Exact only where a space is a hard boundary, which `splits_at_spaces` tells.
    """

    name = "tokenizers, caching words"

    def __init__(self, plain: PlainEncoder) -> None:
        self._plain = plain
        self._cache = _Cache()

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """See `Encoder`."""
        lists = [text.split(" ") for text in texts]
        chunks = list(chain.from_iterable(lists))
        cache = self._cache
        unseen = list(set(chunks).difference(cache.index))
        if unseen:
            if cache.is_full:  # start over; other threads go on with the one they hold
                cache = self._cache = _Cache()
                unseen = list(set(chunks))
            cache.add(unseen, self._plain.encode(unseen))
        rows = np.fromiter(map(cache.index.__getitem__, chunks), dtype=np.int64, count=len(chunks))
        tokens = cache.gather(rows)
        counts = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
        return TokenIds(tokens.ids, tokens.offsets[offsets_of(counts)])


class _Cache:
    """Chunks and their ids, append-only: what a reader has found stays where it is."""

    def __init__(self) -> None:
        self.index: dict[str, int] = {}
        self._ids = np.empty(1 << 12, dtype=np.int64)
        self._bounds = np.zeros(1 << 10, dtype=np.int64)
        self._count = 0
        self._characters = 0
        self._lock = Lock()

    @property
    def is_full(self) -> bool:
        return self._count > _CACHE_CHUNKS or self._characters > _CACHE_CHARACTERS

    def add(self, chunks: list[str], tokens: TokenIds) -> None:
        with self._lock:
            first, size = self._count, int(self._bounds[self._count])
            self._count += len(chunks)
            self._characters += sum(map(len, chunks))
            self._ids = _grown(self._ids, size + len(tokens.ids))
            self._ids[size : size + len(tokens.ids)] = tokens.ids
            self._bounds = _grown(self._bounds, self._count + 1)
            self._bounds[first + 1 : self._count + 1] = tokens.offsets[1:] + size
            # Last, so that whoever finds a chunk finds its ids.
            self.index.update(zip(chunks, range(first, self._count), strict=True))

    def gather(self, rows: Ids) -> TokenIds:
        """Return the ids of these chunks, one after another."""
        starts = self._bounds[rows]
        lengths = self._bounds[rows + 1] - starts
        bounds = offsets_of(lengths)
        return TokenIds(self._ids[np.repeat(starts - bounds[:-1], lengths) + np.arange(bounds[-1])], bounds)


def _grown(array: Ids, size: int) -> Ids:
    if size <= len(array):
        return array
    larger = np.empty(2 * size, dtype=np.int64)
    larger[: len(array)] = array
    return larger


def splits_at_spaces(config: dict[str, Any]) -> bool:
    """Tell from a tokenizer.json whether the ids of a text are those of its chunks between spaces.

    So it is for WordPiece under BERT's normalizer and pre-tokenizer: the normalizer maps each character by
    itself and keeps spaces, the pre-tokenizer drops them and never joins across one. Added tokens that hold
    a space, take white space along or look at their neighbours rule it out.
    """
    kinds = [(config.get(part) or {}).get("type") for part in ("normalizer", "pre_tokenizer", "model")]
    return kinds == ["BertNormalizer", "BertPreTokenizer", "WordPiece"] and not any(
        " " in token["content"] or token["lstrip"] or token["rstrip"] or token["single_word"]
        for token in config["added_tokens"]
    )


class NanotokenEncoder:
    """WordPiece by the nanotoken library, of the extra `fast`."""

    name = "nanotoken"

    def __init__(self, path: Path, threads: int) -> None:
        import nanotoken

        self._tokenizer = nanotoken.Tokenizer(str(path))
        # None leaves the choice to it: parallel, but not in a forked child.
        self._parallel = None if threads > 1 else False

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


def _joined(texts: Sequence[str]) -> Iterable[str]:
    """Yield runs of texts with the separator between them, of about `_JOINED_CHARACTERS`."""
    run: list[str] = []
    size = 0
    for text in texts:
        run.append(text)
        size += len(text) + 1
        if size >= _JOINED_CHARACTERS:
            yield _SEPARATOR.join(run)
            run, size = [], 0
    if run:
        yield _SEPARATOR.join(run)


def _flat(lists: list[list[int]]) -> TokenIds:
    bounds = offsets_of(np.fromiter(map(len, lists), dtype=np.int64, count=len(lists)))
    return TokenIds(np.fromiter(chain.from_iterable(lists), np.int64, count=int(bounds[-1])), bounds)
