"""Compiling a BPE: its merges become a hash table in which every pair has a slot of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from tokenizers import Tokenizer

from portvec._vocabulary.merges import SPREAD
from portvec_export._vocabulary.errors import NotCompilable
from portvec_export._vocabulary.pieces import Arrays, Facts, compile_bytes, compile_trie

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints: TypeAlias = npt.NDArray[np.int64]

# After so many rounds without a place, a table counts as too full. None that we saw needed 100.
_ROUNDS = 1000


def compile_bpe(tokenizer: Tokenizer) -> tuple[Facts, Arrays]:
    """Return the facts about a BPE, and the arrays of its pieces and merges.

    Raises:
        NotCompilable: it has dropout, or its ids depend on the order in which the library works.
    """
    state = json.loads(tokenizer.model.__getstate__())
    pieces = tokenizer.get_vocab(with_added_tokens=False)
    if state["dropout"]:
        raise NotCompilable("its BPE has dropout")
    if len(set(pieces.values())) < len(pieces):
        raise NotCompilable("two pieces of its BPE have the same id")
    unknown = state["unk_token"]
    if unknown is not None and unknown not in pieces:  # the library fails on unknown characters
        raise NotCompilable("the unknown token of its BPE is not in the vocabulary")
    prefix = state["continuing_subword_prefix"] or ""
    facts = {
        "unk_id": None if unknown is None else pieces[unknown],
        "fuse_unk": state["fuse_unk"],
        "byte_fallback": state["byte_fallback"],
        "ignore_merges": state["ignore_merges"],
        "continuing_subword_prefix": prefix,
        "end_of_word_suffix": state["end_of_word_suffix"] or "",
    }
    arrays = {**compile_trie(pieces), **_compile_merges(state["merges"], pieces, len(prefix.encode()))}
    if facts["byte_fallback"]:
        arrays |= compile_bytes(pieces)
    return facts, arrays


def build_merges(left: Ints, right: Ints, tokens: Ints) -> Arrays:
    """Return the arrays of merges, which are in order of their rank.

    Args:
        left: (merges,) id of the first token of each. No pair may occur twice.
        right: (merges,) id of the second.
        tokens: (merges,) the token that each merge gives.

    Returns:
        int32 arrays: `merge_base` (size,), `merge_pairs` (2 * size,) with left and right id of each slot, -1
        in those that are free, `merge_ranks` (size,) and `merge_tokens` (merges,), or a 0 if there are none.
    """
    # As many slots as ids: then two merges of one right id are never in one place.
    largest = max(len(left), int(left.max(initial=0)) + 1, int(right.max(initial=0)) + 1)
    size = 1 << (largest - 1).bit_length()
    while (base := _displace(left, right, size)) is None:
        size *= 2
    slots = (right + base[_places(left, right, size)]) & (size - 1)
    pairs = np.full((size, 2), -1, dtype=np.int32)
    pairs[slots] = np.stack([left, right], axis=1)
    ranks = np.zeros(size, dtype=np.int32)
    ranks[slots] = np.arange(len(left))
    return {
        "merge_base": base.astype(np.int32),
        "merge_pairs": pairs.reshape(-1),
        "merge_ranks": ranks,
        "merge_tokens": tokens.astype(np.int32) if len(tokens) else np.zeros(1, dtype=np.int32),
    }


def _compile_merges(merges: list[list[str]], pieces: Mapping[str, int], prefix: int) -> Arrays:
    """Return the arrays of merges. The right piece of each loses the bytes of the prefix."""
    left = np.fromiter((pieces[first] for first, _ in merges), np.int64, len(merges))
    right = np.fromiter((pieces[second] for _, second in merges), np.int64, len(merges))
    ends = [second.encode()[prefix:].decode() for _, second in merges]
    # The library has merges that are out of date in its queue. It tells them by their result alone. That is
    # enough if each merge gives a longer piece.
    if "" in ends:
        raise NotCompilable("a merge of its BPE adds nothing")
    tokens = (pieces[first + end] for (first, _), end in zip(merges, ends, strict=True))
    return build_merges(left, right, np.fromiter(tokens, np.int64, len(merges)))


def _places(left: Ints, right: Ints, size: int) -> Ints:
    return (left + right * SPREAD) & (size - 1)


def _displace(left: Ints, right: Ints, size: int) -> Ints | None:
    """Return how far the right ids of each place are moved, so that no slot is taken twice, or None."""
    places = _places(left, right, size)
    counts = np.bincount(places, minlength=size)
    order = np.argsort(places, kind="stable")
    first = np.cumsum(counts) - counts
    base = np.zeros(size, dtype=np.int64)
    used = np.zeros(size, dtype=np.bool_)
    owner = np.empty(size, dtype=np.int64)
    random = np.random.default_rng(0)
    # Places with many merges first. Each tries a random move. Of two that want a slot, one gets it.
    for count in range(int(counts.max()), 1, -1):
        waiting = np.flatnonzero(counts == count)
        rights = right[order[first[waiting][:, None] + np.arange(count)]]
        for _ in range(_ROUNDS):
            if not len(waiting):
                break
            moves = random.integers(size, size=len(waiting))
            slots = (rights + moves[:, None]) & (size - 1)
            rows = np.arange(len(waiting))[:, None]
            owner[slots] = rows
            fits = ((owner[slots] == rows) & ~used[slots]).all(axis=1)
            used[slots[fits]] = True
            base[waiting[fits]] = moves[fits]
            waiting, rights = waiting[~fits], rights[~fits]
        if len(waiting):
            return None
    # One merge goes anywhere.
    single = order[first[counts == 1]]
    base[places[single]] = (np.flatnonzero(~used)[: len(single)] - right[single]) & (size - 1)
    return base
