"""Token ids of many texts in two flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

Ids: TypeAlias = "npt.NDArray[np.int64]"


class TokenIds(NamedTuple):
    """Token ids of n texts, concatenated.

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


def offsets_of(lengths: npt.NDArray[np.generic]) -> Ids:
    """Return the int64 (n + 1,) bounds of n consecutive runs that have these lengths."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def flatten(lists: Sequence[list[int]]) -> TokenIds:
    """Return the ids of several texts, one list per text, in flat arrays."""
    offsets = offsets_of(np.fromiter(map(len, lists), dtype=np.int64, count=len(lists)))
    return TokenIds(np.fromiter(chain.from_iterable(lists), np.int64, count=int(offsets[-1])), offsets)


def concatenate(arrays: Sequence[Ids]) -> TokenIds:
    """Return the ids of several texts, one array per text, in flat arrays."""
    offsets = offsets_of(np.fromiter(map(len, arrays), dtype=np.int64, count=len(arrays)))
    return TokenIds(np.concatenate([np.zeros(0, dtype=np.int64), *arrays]), offsets)


def join(parts: Sequence[TokenIds]) -> TokenIds:
    """Return the ids of the texts of all parts, in order."""
    if len(parts) == 1:
        return parts[0]
    lengths = [np.zeros(0, dtype=np.int64), *(np.diff(part.offsets) for part in parts)]
    ids = [np.zeros(0, dtype=np.int64), *(part.ids for part in parts)]
    return TokenIds(np.concatenate(ids), offsets_of(np.concatenate(lengths)))


def merge(first: npt.NDArray[np.bool_], of_first: TokenIds, of_rest: TokenIds) -> TokenIds:
    """Return the ids of all texts, given those of the texts that `first` marks and those of the rest."""
    lengths = np.empty(len(first), dtype=np.int64)
    lengths[first], lengths[~first] = np.diff(of_first.offsets), np.diff(of_rest.offsets)
    from_first = np.repeat(first, lengths)
    ids = np.empty(len(from_first), dtype=np.int64)
    ids[from_first], ids[~from_first] = of_first.ids, of_rest.ids
    return TokenIds(ids, offsets_of(lengths))


def gather(tokens: TokenIds, rows: Ids) -> TokenIds:
    """Return the ids of the texts at these rows, in their order. A row may occur more than once."""
    starts = tokens.offsets[:-1][rows]
    lengths = np.diff(tokens.offsets)[rows]
    offsets = offsets_of(lengths)
    places = np.repeat(starts - offsets[:-1], lengths)
    places += np.arange(len(places))
    return TokenIds(tokens.ids[places], offsets)


def regroup(tokens: TokenIds, offsets: Ids) -> TokenIds:
    """Return the ids of longer texts: text i consists of the texts from `offsets[i]` to `offsets[i + 1]`."""
    return TokenIds(tokens.ids, tokens.offsets[offsets])


def keep_first(tokens: TokenIds, count: int | None) -> TokenIds:
    """Keep the first `count` tokens of each text; all of them if None."""
    lengths = np.diff(tokens.offsets)
    if count is None or not len(lengths) or lengths.max() <= count:
        return tokens
    kept = np.ones(len(tokens.ids), dtype=np.bool_)
    for row in np.flatnonzero(lengths > count).tolist():
        kept[tokens.offsets[row] + count : tokens.offsets[row + 1]] = False
    return TokenIds(tokens.ids[kept], offsets_of(np.minimum(lengths, count)))


def drop(tokens: TokenIds, token_id: int | None) -> TokenIds:
    """Leave out every occurrence of `token_id`; nothing if None."""
    if token_id is None:
        return tokens
    dropped = np.flatnonzero(tokens.ids == token_id)
    if not len(dropped):
        return tokens
    # Each offset moves left by the number of ids dropped before it.
    offsets = tokens.offsets - np.searchsorted(dropped, tokens.offsets)
    return TokenIds(np.delete(tokens.ids, dropped), offsets)
