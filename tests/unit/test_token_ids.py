"""Flat token ids: cutting, dropping and merging."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from portvec._tokenization.token_ids import TokenIds, drop, flatten, keep_first, merge, offsets_of

LISTS = st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=8)


@given(LISTS)
def test_flattening_keeps_the_lists(lists: list[list[int]]) -> None:
    tokens = flatten(lists)
    assert tokens.lists() == lists
    assert tokens.ids.dtype == tokens.offsets.dtype == np.int64
    assert repr(tokens) == f"TokenIds({len(lists)} texts, {sum(map(len, lists))} ids)"


@given(LISTS, st.none() | st.integers(0, 7))
def test_the_first_tokens_of_each_text(lists: list[list[int]], count: int | None) -> None:
    assert keep_first(flatten(lists), count).lists() == [ids[:count] for ids in lists]


@given(LISTS, st.none() | st.integers(0, 6))
def test_an_id_is_dropped_everywhere(lists: list[list[int]], token_id: int | None) -> None:
    expected = [[each for each in ids if each != token_id] for ids in lists]
    assert drop(flatten(lists), token_id).lists() == expected


@given(st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 5), max_size=4)), max_size=10))
def test_merging_puts_texts_back_in_order(marked: list[tuple[bool, list[int]]]) -> None:
    first = np.array([mark for mark, _ in marked], dtype=np.bool_)
    merged = merge(
        first,
        flatten([ids for mark, ids in marked if mark]),
        flatten([ids for mark, ids in marked if not mark]),
    )
    assert merged.lists() == [ids for _, ids in marked]


def test_offsets_of_no_texts() -> None:
    assert offsets_of(np.array([], dtype=np.int64)).tolist() == [0]
    assert TokenIds(np.array([], dtype=np.int64), offsets_of(np.array([], dtype=np.int64))).lists() == []
