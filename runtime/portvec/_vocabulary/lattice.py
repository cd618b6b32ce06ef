"""Unigram's search for many words at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from portvec._vocabulary.blocks import BLOCK
from portvec._vocabulary.layout import Int32, lay_out
from portvec._vocabulary.token_ids import Ids, TokenIds, offsets_of
from portvec._vocabulary.trie import Trie

if TYPE_CHECKING:
    import numpy.typing as npt

# Pieces that may occur in a block of words. In texts, a third of them do.
_EDGES = 12 * BLOCK


class BestPieces(NamedTuple):
    """The pieces of words, in order.

    Attributes:
        ids: int64 (n,) of each piece, -1 for an unknown character.
        starts: int64 (n,) where each starts in the text.
        owners: int64 (n,) the word that each belongs to.
        symbols: of the characters of the text.
        ends: int64 (words,) where each word ends in the text.
    """

    ids: Ids
    starts: Ids
    owners: Ids
    symbols: Int32
    ends: Ids

    def tokens(self) -> TokenIds:
        """Return the ids by word."""
        return TokenIds(self.ids, offsets_of(np.bincount(self.owners, minlength=len(self.ends))))

    def keep(self, kept: npt.NDArray[np.bool_]) -> BestPieces:
        """Return the pieces that `kept` marks."""
        return self._replace(ids=self.ids[kept], starts=self.starts[kept], owners=self.owners[kept])

    def stops(self) -> Ids:
        """Return where each piece ends in the text: where the next starts, or with its word."""
        stops = self.ends[self.owners]
        inner = np.flatnonzero(self.owners[1:] == self.owners[:-1])
        stops[inner] = self.starts[inner + 1]
        return stops


def find_best_pieces(
    trie: Trie, score: npt.NDArray[np.float64], unknown_score: float, words: list[str]
) -> BestPieces | None:
    """Return the pieces that write each word with the largest sum of scores.

    None if more pieces occur in the words than can be compared at once. The longest word must come first.
    """
    lattice = _lay_lattice(trie, words)
    edges = _find_edges(trie, lattice)
    if edges is None:
        return None
    scores = score.take(edges.tokens, mode="clip")
    scores[edges.tokens < 0] = unknown_score
    return _read_back(lattice, edges, _choose(lattice, edges, scores))


class _Lattice(NamedTuple):
    """The positions of all characters of words, the longest word first.

    They are numbered by columns: the first characters of all words, then the second ones, and so on. So a
    column is one run of positions, and row r of column k is at `first[k] + r`.

    Attributes:
        symbols: of the characters in the order of the text, 0 after each word.
        starts: where each word starts in the text.
        lengths: of each word.
        first: the first position of each column, and how many positions there are.
        columns: of each position.
        rows: the word of each position.
        places: the place of each position in the text.
        before: the position before each in its word; for first characters, the number of positions.
    """

    symbols: Int32
    starts: Ids
    lengths: Ids
    first: Int32
    columns: Int32
    rows: Int32
    places: Int32
    before: Int32


class _Edges(NamedTuple):
    """Pieces in words, from the position where a piece starts to the one where it ends.

    They are grouped by end. In a group, those that start earlier come first.

    Attributes:
        starts: position of the first character of each.
        tokens: id of each, -1 for an unknown character.
        offsets: bounds of the groups.
    """

    starts: Int32
    tokens: Int32
    offsets: Ids


def _lay_lattice(trie: Trie, words: list[str]) -> _Lattice:
    codes, starts, lengths = lay_out(words)
    symbols = trie.symbols(codes)
    symbols[starts + lengths] = 0  # whatever the symbol of a NUL is
    # How many words reach each column.
    reach = len(words) - np.searchsorted(lengths[::-1], np.arange(int(lengths[0])), side="right")
    first = offsets_of(reach).astype(np.int32)
    columns = np.repeat(np.arange(len(reach), dtype=np.int32), reach)
    rows = np.arange(len(columns), dtype=np.int32)
    rows -= first.take(columns)
    places = starts.astype(np.int32).take(rows) + columns
    before = first.take(np.maximum(columns - 1, 0)) + rows
    before[columns == 0] = len(columns)
    return _Lattice(symbols, starts, lengths, first, columns, rows, places, before)


def _find_edges(trie: Trie, lattice: _Lattice) -> _Edges | None:
    """Return the pieces that occur in the words, or None if these are too many at once."""
    first = lattice.first.astype(np.int64)  # numpy is faster with indices of this type
    count = len(lattice.places)
    positions = np.arange(count)
    places, states = lattice.places, np.zeros(count, dtype=np.int32)
    is_unknown = np.ones(count, dtype=np.bool_)
    found: list[tuple[Ids, Ids, Int32]] = []
    total = depth = 0
    while len(positions):
        steps = lattice.symbols.take(places + depth, mode="clip")
        slots = trie.base.take(states, mode="clip") + steps
        there = np.flatnonzero(trie.check.take(slots, mode="clip") == states)
        positions, places, states = positions.take(there), places.take(there), slots.take(there)
        tokens = trie.token.take(states, mode="clip")
        hit = np.flatnonzero(tokens >= 0)
        begins = positions.take(hit)
        ends = first.take(lattice.columns.take(begins) + depth) + lattice.rows.take(begins)
        found.append((begins, ends, tokens.take(hit)))
        if not depth:
            is_unknown[begins] = False
        total += len(hit)
        if total > _EDGES:
            return None
        depth += 1
    unknown = np.flatnonzero(is_unknown)
    found.insert(0, (unknown, unknown, np.full(len(unknown), -1, dtype=np.int32)))
    counts = np.zeros(count, dtype=np.int64)
    for _, ends, _ in found:
        counts[ends] += 1  # of one length, no two edges have the same end
    offsets = offsets_of(counts)
    starts, tokens = np.empty((2, int(offsets[-1])), dtype=np.int32)
    free = offsets[:-1].copy()
    for begins, ends, at_tokens in reversed(found):
        at = free.take(ends)
        starts[at], tokens[at] = begins, at_tokens
        at += 1
        free[ends] = at
    return _Edges(starts, tokens, offsets)


def _choose(lattice: _Lattice, edges: _Edges, scores: npt.NDArray[np.float64]) -> Ids:
    """Return for each position the edge by which the best way ends there."""
    first = lattice.first
    before = lattice.before.take(edges.starts, mode="clip")
    sums = np.zeros(len(lattice.places) + 1)  # the last is that of the empty way
    chosen = np.empty(len(lattice.places), dtype=np.int64)
    counts = np.diff(edges.offsets)
    bounds = edges.offsets[first].tolist()
    columns = first.tolist()
    for column in range(len(columns) - 1):
        low, high = columns[column], columns[column + 1]
        start, stop = bounds[column], bounds[column + 1]
        totals = sums.take(before[start:stop], mode="clip")
        totals += scores[start:stop]
        groups = edges.offsets[low:high] - start
        best = np.maximum.reduceat(totals, groups)
        sums[low:high] = best
        hits = np.flatnonzero(totals == best.repeat(counts[low:high]))
        if len(hits) > len(groups):  # some groups have several that are best: the first starts earliest
            hits = hits.take(np.searchsorted(hits, groups))
        hits += start
        chosen[low:high] = hits
    return chosen


def _read_back(lattice: _Lattice, edges: _Edges, chosen: Ids) -> BestPieces:
    """Follow the chosen edges from the end of each word to its start."""
    rows = np.arange(len(lattice.lengths))
    ends = lattice.first[lattice.lengths - 1] + rows
    ids, starts, owners = [], [], []
    while len(rows):
        edge = chosen.take(ends)
        start = edges.starts.take(edge)
        ids.append(edges.tokens.take(edge))
        starts.append(lattice.places.take(start))
        owners.append(rows)
        ends = lattice.before.take(start)
        going = np.flatnonzero(ends < len(lattice.places))
        rows, ends = rows.take(going), ends.take(going)
    owner = np.concatenate(owners[::-1])
    order = np.argsort(owner, kind="stable")
    return BestPieces(
        np.concatenate(ids[::-1])[order].astype(np.int64),
        np.concatenate(starts[::-1])[order].astype(np.int64),
        owner[order],
        lattice.symbols,
        lattice.starts + lattice.lengths,
    )
