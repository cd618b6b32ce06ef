"""The layout of batches: every text once, in tiles that fit the cache, with padding where nothing is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portvec._inference.batching import MIN_LENGTH, Layout, lay_out, lay_out_one
from portvec._tokenization.token_ids import flatten

PADDING = 99


def unpack(lists: list[list[int]], tile_tokens: int) -> list[tuple[int, list[int]]]:
    """Return what the tiles hold, as pairs of a row and its ids, and check the shape of every batch."""
    found: list[tuple[int, list[int]]] = []
    for rows, batch in lay_out(flatten(lists), Layout(PADDING, tile_tokens)):
        assert batch.bounds is not None
        tiles, texts = batch.counts.shape
        assert batch.bounds.shape == (tiles, 2)
        assert batch.token_ids.shape[1] == texts
        assert batch.token_ids.dtype == np.int32
        assert len(rows) <= tiles * texts < len(rows) + tiles
        contents = []
        for (start, stop), counts in zip(batch.bounds.tolist(), batch.counts.tolist(), strict=True):
            assert MIN_LENGTH <= stop - start <= len(batch.token_ids)
            assert stop - start == max(MIN_LENGTH, max(counts))
            assert texts == 1 or (stop - start) * texts <= tile_tokens
            for column, count in enumerate(counts):
                column_ids = batch.token_ids[start:stop, column].tolist()
                assert column_ids[count:] == [PADDING] * (len(column_ids) - count)
                contents.append(column_ids[:count])
        assert contents[len(rows) :] == [[]] * (len(contents) - len(rows))
        found += zip(rows.tolist(), contents, strict=False)
    return found


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 50), max_size=60), max_size=40), st.sampled_from([17, 40, 100, 1000]))
def test_every_text_with_tokens_is_laid_out_once(lists: list[list[int]], tile_tokens: int) -> None:
    found = unpack(lists, tile_tokens)
    assert sorted(found) == [(row, ids) for row, ids in enumerate(lists) if ids]
    lengths = [max(MIN_LENGTH, len(ids)) for _, ids in found]
    assert lengths == sorted(lengths, reverse=True)


def test_texts_longer_than_a_tile_stand_alone() -> None:
    lists = [[1] * 5000, [2] * 3000, [3] * 10]
    assert sorted(unpack(lists, 1024)) == list(enumerate(lists))


def test_a_batch_is_bounded() -> None:
    lists = [[7] * 100] * 5000
    layout = Layout(PADDING, 1024)
    sizes = [batch.token_ids.size for _, batch in lay_out(flatten(lists), layout)]
    assert sum(sizes) >= 500_000
    assert max(sizes) <= 1 << 15


@pytest.mark.parametrize("count", [0, 1, MIN_LENGTH - 1, MIN_LENGTH, 100])
def test_a_single_text(count: int) -> None:
    batch = lay_out_one(np.arange(count, dtype=np.int64), Layout(PADDING, 1024))
    assert batch.bounds is None
    assert batch.counts.tolist() == [[count]]
    length = max(count, MIN_LENGTH)
    assert batch.token_ids.shape == (length, 1)
    assert batch.token_ids[:, 0].tolist() == [*range(count), *[PADDING] * (length - count)]


@pytest.mark.parametrize(
    ("dim", "dtype", "tokens"), [(256, "float32", 1024), (256, "int8", 4096), (16, "float32", 8192)]
)
def test_a_tile_fits_a_cache_of_a_mebibyte(dim: int, dtype: str, tokens: int) -> None:
    class Facts:
        vocabulary_size = 10

    Facts.dim, Facts.dtype = dim, dtype  # type: ignore[attr-defined]
    assert Layout.of(Facts()) == Layout(10, tokens)  # type: ignore[arg-type]
