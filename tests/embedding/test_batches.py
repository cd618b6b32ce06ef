"""encode_batches, and progress bars."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from corpus import paragraphs
from portvec import StaticEmbedder
from portvec.errors import InputError, OptionError
from project import BATCH_ROUNDING

TEXTS = ["", *paragraphs(300)]


@pytest.fixture
def embedder(tiny: Path) -> StaticEmbedder:
    return StaticEmbedder.load(tiny, threads=2)


@pytest.mark.parametrize("form", [list, tuple, iter, pd.Series, pl.Series, pa.array, np.array])
def test_batches_are_parts_of_what_encode_returns(embedder: StaticEmbedder, form: Any) -> None:
    batches = list(embedder.encode_batches(form(TEXTS), batch_size=128))
    assert [batch.shape for batch in batches] == [(128, 24), (128, 24), (len(TEXTS) - 256, 24)]
    assert {batch.dtype for batch in batches} == {np.dtype(np.float32)}
    np.testing.assert_allclose(np.concatenate(batches), embedder.encode(TEXTS), atol=BATCH_ROUNDING)


def test_a_batch_is_yielded_before_later_texts_exist(embedder: StaticEmbedder) -> None:
    def endless() -> Iterable[str]:
        while True:
            yield from TEXTS

    batches = embedder.encode_batches(endless(), batch_size=10)
    np.testing.assert_allclose(next(batches), embedder.encode(TEXTS[:10]), atol=BATCH_ROUNDING)


def test_memory_does_not_grow_with_the_number_of_texts(embedder: StaticEmbedder) -> None:
    def peak(count: int) -> int:
        texts = (TEXTS[number % 20] for number in range(count))
        tracemalloc.start()
        try:
            assert sum(map(len, embedder.encode_batches(texts, batch_size=512))) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(4_000)  # words are cached
    assert peak(32_000) < 1.5 * peak(8_000)


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "8"])
def test_batch_sizes_that_are_none(embedder: StaticEmbedder, size: Any) -> None:
    with pytest.raises(OptionError, match=f"^batch_size is {size!r}, expected a whole number from 1$"):
        embedder.encode_batches(TEXTS, batch_size=size)


def test_inputs_that_are_no_texts(embedder: StaticEmbedder) -> None:
    with pytest.raises(InputError, match=r"^texts is a str, expected a list of str; wrap it as \[text\]$"):
        embedder.encode_batches("abc")
    batches = embedder.encode_batches(["a", "b", None], batch_size=2)  # type: ignore[list-item]
    assert len(next(batches)) == 2
    with pytest.raises(InputError, match=r"^texts\[2\] is None, a missing value; drop it"):
        next(batches)


def test_a_progress_bar_counts_texts(embedder: StaticEmbedder, capsys: pytest.CaptureFixture[str]) -> None:
    expected = embedder.encode(TEXTS)
    assert capsys.readouterr().err == ""
    np.testing.assert_array_equal(embedder.encode(TEXTS, progress=True), expected)
    shown = capsys.readouterr().err
    assert "100%" in shown
    assert f"| {len(TEXTS)}/{len(TEXTS)} [" in shown
    np.testing.assert_array_equal(embedder.encode(iter(TEXTS), progress=True), expected)
    shown = capsys.readouterr().err
    assert f"{len(TEXTS)} texts [" in shown  # there is no total
    assert "%" not in shown
    for _ in embedder.encode_batches(TEXTS, batch_size=100, progress=True):
        pass
    assert f"{len(TEXTS)}/{len(TEXTS)}" in capsys.readouterr().err
