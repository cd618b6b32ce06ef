"""Laying out token ids in batches: each text once, padding in its place, and bounded sizes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from portvec._inference import batching
from portvec._inference.batching import MIN_LENGTH, Batch, Tiling, lay_out, lay_out_one
from portvec._vocabulary.token_ids import TokenIds, flatten
from project import FUZZ

PADDING = 1_000_000


def tokens_of(lengths: list[int]) -> TokenIds:
    """Return texts of these lengths. No token id occurs twice, and none is 0."""
    counter = iter(range(1, sum(lengths) + 1))
    return flatten([[next(counter) for _ in range(length)] for length in lengths])


def tiles_of(batch: Batch) -> list[list[list[int]]]:
    """Return the texts of each tile, after checking that the rest of their columns is padding."""
    assert batch.bounds is not None
    tiles = []
    for (start, stop), counts in zip(batch.bounds.tolist(), batch.counts.tolist(), strict=True):
        columns = batch.token_ids[start:stop].T.tolist()
        assert all(set(column[count:]) <= {PADDING} for column, count in zip(columns, counts, strict=True))
        tiles.append([column[:count] for column, count in zip(columns, counts, strict=True)])
    return tiles


LENGTHS = st.lists(st.integers(0, 40) | st.integers(0, 700), max_size=150)


@settings(max_examples=150 * FUZZ, deadline=None)
@given(lengths=LENGTHS, tile_tokens=st.integers(1, 6000))
@example(lengths=[], tile_tokens=100)
@example(lengths=[0, 0], tile_tokens=100)
@example(lengths=[1], tile_tokens=1)
@example(lengths=[3] * 4000, tile_tokens=1024)
@example(lengths=[16, 17, 18] * 3, tile_tokens=17 * 8)
@example(lengths=[64] * 5 + [32] * 9 + [33], tile_tokens=128)
@example(lengths=[40_000, 30_000, 20_000, 5000], tile_tokens=4096)
def test_every_layout(lengths: list[int], tile_tokens: int) -> None:
    tokens = tokens_of(lengths)
    texts = tokens.lists()
    batches = list(lay_out(tokens, Tiling(PADDING, tile_tokens)))

    # Each text that has tokens is in one batch, the longest first, and texts of one length in their order.
    order = [row for rows, _ in batches for row in rows.tolist()]
    assert order == [row for row in sorted(range(len(texts)), key=lambda row: -len(texts[row])) if texts[row]]

    for index, (rows, batch) in enumerate(batches):
        sizes = [max(lengths[row], MIN_LENGTH) for row in rows]
        columns = [column for tile in tiles_of(batch) for column in tile]
        assert columns[: len(rows)] == [texts[row] for row in rows]
        assert not any(columns[len(rows) :])

        assert batch.bounds is not None
        assert batch.token_ids.dtype == np.int32
        assert batch.bounds.dtype == batch.counts.dtype == np.int64
        tiles, width = batch.counts.shape
        assert batch.token_ids.shape == (tiles * sizes[0], width)
        starts = [tile * sizes[0] for tile in range(tiles)]
        longest = np.maximum(batch.counts.max(axis=1), MIN_LENGTH)
        assert batch.bounds.tolist() == [
            [start, start + size] for start, size in zip(starts, longest, strict=True)
        ]

        # As many texts in a tile as fit, of 1, 2, 4, 8, ..., and not a tile more than these need.
        fitting = 1
        while 2 * fitting * sizes[0] <= tile_tokens:
            fitting *= 2
        assert width <= fitting
        assert tiles == -(-len(rows) // fitting)
        assert tiles * width - len(rows) < tiles

        # A batch is bounded, unless it is one tile. It ends there or where twice as many texts would fit.
        bound = max(fitting, (1 << 15) // sizes[0] // fitting * fitting)
        assert len(rows) <= bound
        assert all(2 * fitting * size > tile_tokens for size in sizes)
        if len(rows) < bound and index + 1 < len(batches):
            following = max(lengths[batches[index + 1][0][0]], MIN_LENGTH)
            assert 2 * fitting * following <= tile_tokens


@pytest.mark.parametrize("count", [0, 1, 16, 17, 18, 500])
def test_a_single_text_is_padded_to_more_than_16_tokens(count: int) -> None:
    batch = lay_out_one(np.arange(7, 7 + count), PADDING)
    assert batch.token_ids.dtype == np.int32
    assert batch.token_ids.shape == (max(count, 17), 1)
    assert batch.token_ids[:, 0].tolist() == [*range(7, 7 + count), *[PADDING] * (17 - count)]
    assert batch.bounds.tolist() == [[0, max(count, 17)]]
    assert batch.counts.dtype == np.int64
    assert batch.counts.tolist() == [[count]]


@pytest.mark.parametrize(
    ("dim", "dtype", "tokens"),
    [
        (256, "float32", 1024),
        (256, "float16", 1024),
        (256, "int8", 4096),
        (256, "int4", 1024),
        (300, "float32", 873),
        (2, "int8", 8192),
        (262_144, "float32", 1),
        (300_000, "float32", 1),
    ],
)
def test_rows_of_a_tile_take_a_mebibyte(dim: int, dtype: str, tokens: int) -> None:
    manifest: Any = SimpleNamespace(table_dim=dim, dtype=dtype, vocabulary_size=123)
    assert Tiling.of(manifest) == Tiling(padding_id=123, tile_tokens=tokens)


def test_batches_are_laid_out_as_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    tile = batching._tile

    def counted(*arguments: Any) -> Batch:
        made.append(1)
        return tile(*arguments)

    monkeypatch.setattr(batching, "_tile", counted)
    batches = lay_out(tokens_of([5000] * 20), Tiling(PADDING, 100))
    next(batches)
    assert len(made) == 1
    assert len(list(batches)) == 3
