"""Merging neighbours: of all pairs of a word, always the leftmost of those with the lowest rank."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Final

import numpy as np

from portvec._vocabulary.layout import Int32
from portvec._vocabulary.merges import NO_RANK, Merges
from portvec._vocabulary.token_ids import Ids

# Stands where a token was that is now a part of the one before it. No merge has it.
GONE: Final = -2

# Words of more tokens, and words of a length that few have, are merged one by one: `_merge_columns` looks at
# all tokens of a word for each merge, and numpy has a price for each call.
_LONGEST: Final = 128
_FEW: Final = 24
# Tokens that `_merge_columns` works on at once: it should stay in the processor's caches.
_BLOCK: Final = 1 << 15

_LOW: Final = (1 << 32) - 1


def merge_one(merges: Merges, ids: list[int]) -> list[int]:
    """Return the ids of a word after all merges. It takes n log n steps, and changes `ids`."""
    count = len(ids)
    rank_of, token_of = merges.rank_of, merges.token_of
    # The rank of the pair that begins at each place, and all of these in order. Those that are out of date
    # stay in the heap until they come up.
    ranks = [*map(rank_of, ids, ids[1:]), NO_RANK]
    heap = [rank << 32 | at for at, rank in enumerate(ranks) if rank != NO_RANK]
    if not heap:
        return ids
    heapify(heap)
    following, preceding = list(range(1, count + 1)), list(range(-1, count - 1))
    while heap:
        entry = heappop(heap)
        at, rank = entry & _LOW, entry >> 32
        if ranks[at] != rank:
            continue
        gone = following[at]
        after = following[at] = following[gone]
        token = ids[at] = token_of[rank]
        ids[gone] = GONE
        ranks[at] = ranks[gone] = NO_RANK
        if after < count:
            preceding[after] = at
            rank = ranks[at] = rank_of(token, ids[after])
            if rank != NO_RANK:
                heappush(heap, rank << 32 | at)
        before = preceding[at]
        if before >= 0:
            rank = ranks[before] = rank_of(ids[before], token)
            if rank != NO_RANK:
                heappush(heap, rank << 32 | before)
    return [token for token in ids if token >= 0]


def merge_words(merges: Merges, ids: Int32, starts: Ids, lengths: Ids) -> None:
    """Merge the words that `ids` holds from each start on, in place, with `GONE` for what is merged away."""
    # A rank and a place share 31 bits in `_merge_columns`.
    longest = min(_LONGEST, 2 ** (31 - len(merges.tokens).bit_length()) - 1)
    order = np.argsort(lengths, kind="stable")
    sizes = lengths[order]
    at, stop = np.searchsorted(sizes, [2, longest + 1]).tolist()
    stop = max(at, stop)
    _merge_each(merges, ids, starts[order[stop:]], lengths[order[stop:]])
    while at < stop:
        size = int(sizes[at])
        # Words of about one length, so that few columns are short.
        end = int(np.searchsorted(sizes[:stop], size + size // 8, side="right"))
        end = min(end, at + max(_BLOCK // size, _FEW))
        block = order[at:end]
        merge_block = _merge_each if len(block) < _FEW else _merge_columns
        merge_block(merges, ids, starts[block], lengths[block])
        at = end


def _merge_each(merges: Merges, ids: Int32, starts: Ids, lengths: Ids) -> None:
    """Merge one word after the other."""
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        merged = merge_one(merges, ids[start : start + length].tolist())
        ids[start : start + len(merged)] = merged
        ids[start + len(merged) : start + length] = GONE


def _merge_columns(merges: Merges, ids: Int32, starts: Ids, lengths: Ids) -> None:
    """Merge words of about one length: each is a column, and each round merges one pair of every word."""
    height, width = int(lengths.max()), len(starts)
    rows = np.arange(height)[:, None]
    sources = starts + rows
    inside = rows < lengths
    # One more row stands for what is before a word and after it.
    tokens = np.full((height + 1, width), GONE, dtype=np.int32)
    tokens[:-1] = np.where(inside, ids.take(sources, mode="clip"), GONE)
    shift = height.bit_length()
    places = (1 << shift) - 1
    keys = np.full((height + 1, width), NO_RANK, dtype=np.int32)
    flat, flat_keys = tokens.reshape(-1), keys.reshape(-1)
    ranks = merges.ranks(flat[:-width], flat[width:]).reshape(height, width)
    keys[:-1] = _keys(ranks, rows, shift)
    following = np.arange(width, (height + 2) * width)
    preceding = following - 2 * width
    preceding[:width] = np.arange(height * width, (height + 1) * width)
    waiting = keys[:-1]
    while True:
        lowest = waiting.min(axis=0)
        columns = np.flatnonzero(lowest != NO_RANK)
        if not len(columns):
            break
        lowest = lowest[columns]
        at = (lowest & places).astype(np.int64) * width + columns
        gone = following.take(at, mode="clip")
        after = following.take(gone, mode="clip")
        before = preceding.take(at, mode="clip")
        new = merges.tokens.take(lowest >> shift, mode="clip")
        flat[at] = new
        flat[gone] = GONE
        flat_keys[gone] = NO_RANK
        following[at] = after
        preceding[after] = at
        left = np.concatenate([flat.take(before, mode="clip"), new])
        right = np.concatenate([new, flat.take(after, mode="clip")])
        changed = np.concatenate([before, at])
        flat_keys[changed] = _keys(merges.ranks(left, right), changed // width, shift)
    ids[sources[inside]] = tokens[:-1][inside]


def _keys(ranks: Int32, places: Ids, shift: int) -> Int32:
    """Return numbers in the order of rank and place; `NO_RANK` stays what it is."""
    return np.where(ranks == NO_RANK, ranks, (ranks << shift) | places.astype(np.int32))
