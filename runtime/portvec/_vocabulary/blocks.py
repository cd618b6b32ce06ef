"""Many words in blocks of words of similar length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from portvec._vocabulary.token_ids import Ids, TokenIds, flatten, offsets_of

if TYPE_CHECKING:
    import numpy.typing as npt

# Characters that are worked on at once. More need more memory and fall out of the processor's caches.
BLOCK = 1 << 15

# With fewer words at once, numpy takes longer than Python takes for one word after the other.
FEW = 48


def encode_in_blocks(
    words: Sequence[str],
    encode_block: Callable[[list[str]], TokenIds],
    encode_one: Callable[[str], list[int]],
) -> TokenIds:
    """Return the ids of words, most of them from `encode_block`.

    It gets words in order of their length, the longest first, with at most `BLOCK` characters and one word
    more. `encode_one` gets the words of a length that few have.
    """
    lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    order = np.argsort(-lengths, kind="stable")
    before = np.cumsum(lengths[order]) - lengths[order]
    bounds = np.flatnonzero(np.diff(before // BLOCK, prepend=-1, append=-1))
    found = []
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        block = [words[row] for row in order[start:stop].tolist()]
        if sum(map(len, block)) < FEW * len(block[0]):
            found.append(flatten([encode_one(word) for word in block]))
        else:
            found.append(encode_block(block))
    return _restore(found, order)


def gather_by_word(ids: Ids, words: npt.NDArray[np.integer], count: int) -> TokenIds:
    """Return ids, each given with the number of its word, as those of `count` words.

    The ids of one word must be in order.
    """
    order = np.argsort(words, kind="stable")
    return TokenIds(ids[order].astype(np.int64, copy=False), offsets_of(np.bincount(words, minlength=count)))


def _restore(blocks: list[TokenIds], order: Ids) -> TokenIds:
    """Return the ids of words that were encoded in this order."""
    if not blocks:
        return flatten([])
    counts = np.concatenate([np.diff(block.offsets) for block in blocks])
    offsets = np.empty_like(counts)
    offsets[order] = counts
    bounds = offsets_of(offsets)
    targets = np.repeat(bounds[order] - (np.cumsum(counts) - counts), counts)
    targets += np.arange(len(targets))
    ids = np.empty(len(targets), dtype=np.int64)
    ids[targets] = np.concatenate([block.ids for block in blocks])
    return TokenIds(ids, bounds)
