"""Laying out token ids in batches: texts of similar length together, so that there is little padding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from portvec._artifact.dtypes import DTYPES
from portvec._artifact.manifest import Manifest
from portvec._vocabulary.token_ids import Ids, TokenIds

if TYPE_CHECKING:
    import numpy.typing as npt

# Tokens in a batch, which is one call of onnxruntime: enough to make the cost of a call small, few enough to
# bound the memory.
_BATCH_TOKENS = 1 << 15

# Bytes of the rows gathered for a tile: they should stay in a core's own cache until they are summed.
_TILE_BYTES = 1 << 20
_MAX_TILE_TOKENS = 1 << 13

# onnxruntime sums over the first axis with its fast kernel only if the axis is longer than 16.
MIN_LENGTH = 17


class Batch(NamedTuple):
    """Texts for one call of onnxruntime, in tiles of equally many texts.

    Attributes:
        token_ids: int32 (positions, texts), one tile below the other. A column holds a text and then padding.
        bounds: int64 (tiles, 2), the first position of each tile and the one after its last.
        counts: int64 (tiles, texts), number of tokens of each text.
    """

    token_ids: npt.NDArray[np.int32]
    bounds: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


class Tiling(NamedTuple):
    """How a model's batches are laid out.

    Attributes:
        padding_id: the id after the last token id, whose row is zero.
        tile_tokens: tokens, with padding, that a tile should have.
    """

    padding_id: int
    tile_tokens: int

    @classmethod
    def of(cls, manifest: Manifest) -> Tiling:
        """Return the tiling for an artifact."""
        row_bytes = manifest.table_dim * DTYPES[manifest.dtype].summed_bytes
        return cls(manifest.vocabulary_size, min(max(1, _TILE_BYTES // row_bytes), _MAX_TILE_TOKENS))


def lay_out_one(ids: Ids, padding_id: int) -> Batch:
    """Return the batch of a single text with the token ids (n,)."""
    count = len(ids)
    length = max(count, MIN_LENGTH)
    column = np.empty((length, 1), dtype=np.int32)
    column[:count, 0] = ids
    column[count:] = padding_id
    return Batch(column, np.array([[0, length]]), np.array([[count]]))


def lay_out(tokens: TokenIds, tiling: Tiling) -> Iterator[tuple[Ids, Batch]]:
    """Yield the texts that have tokens, longest first: their rows in the input, int64 (n,), and their batch.

    The last texts of a batch may be padding, which has no row. A tile has 1, 2, 4, 8, ... texts, as many as
    fit, so the number doubles when the length halves.
    """
    lengths = np.diff(tokens.offsets)
    # Pad the end, so that a window as long as the longest text is valid at every start.
    ids = np.zeros(len(tokens.ids) + max(int(lengths.max(initial=0)), MIN_LENGTH), dtype=np.int32)
    ids[: len(tokens.ids)] = tokens.ids
    order = np.argsort(-lengths, kind="stable")
    order = order[: np.count_nonzero(lengths)]
    negative_sizes = -np.maximum(lengths[order], MIN_LENGTH)
    start = 0
    while start < len(order):
        longest = -int(negative_sizes[start])
        texts = 1 << max(0, (tiling.tile_tokens // longest).bit_length() - 1)
        too_short = tiling.tile_tokens // (2 * texts)
        stop = int(np.searchsorted(negative_sizes, -too_short))
        stop = min(stop, start + max(texts, _BATCH_TOKENS // longest // texts * texts))
        rows = order[start:stop]
        yield rows, _tile(ids, tokens.offsets[rows], lengths[rows], texts, tiling.padding_id)
        start = stop


def _tile(ids: npt.NDArray[np.int32], starts: Ids, lengths: Ids, texts: int, padding_id: int) -> Batch:
    """Return the batch of texts, longest first, in tiles of at most `texts` texts each.

    numpy copies windows of one length fast, so every text is cut out at the length of the longest. A tile
    then ends at the length of its own longest text.
    """
    tiles = -(-len(starts) // texts)
    texts = -(-len(starts) // tiles)
    starts, lengths = _fill(starts, tiles * texts), _fill(lengths, tiles * texts)
    longest = max(int(lengths[0]), MIN_LENGTH)
    # A window at every position, as numpy's sliding_window_view makes them in ten times the time.
    windows = np.ndarray((len(ids) - longest + 1, longest), ids.dtype, ids, 0, ids.strides * 2)
    rows = windows[starts]
    np.putmask(rows, np.arange(longest) >= lengths[:, None], padding_id)
    token_ids = rows.reshape(tiles, texts, longest).transpose(0, 2, 1).reshape(-1, texts)
    counts = lengths.reshape(tiles, texts)
    first = np.arange(tiles) * longest
    bounds = np.stack([first, first + np.maximum(counts[:, 0], MIN_LENGTH)], axis=1)
    return Batch(token_ids, bounds, counts)


def _fill(numbers: Ids, size: int) -> Ids:
    """Return numbers with zeros behind them, (size,)."""
    filled = np.zeros(size, dtype=np.int64)
    filled[: len(numbers)] = numbers
    return filled
