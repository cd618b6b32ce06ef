"""Flat arrays of token ids, compared with lists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from portvec._vocabulary.token_ids import TokenIds, drop, flatten, keep_first, merge, offsets_of
from project import FUZZ

LISTS = st.lists(st.lists(st.integers(0, 4), max_size=6), max_size=8)


def check(tokens: TokenIds, expected: list[list[int]]) -> None:
    assert tokens.lists() == expected
    assert tokens.ids.dtype == tokens.offsets.dtype == np.int64
    assert tokens.ids.tolist() == [token_id for ids in expected for token_id in ids]
    assert len(tokens.offsets) == len(expected) + 1
    assert (tokens.offsets[0], tokens.offsets[-1]) == (0, len(tokens.ids))


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.bool_])
def test_offsets(dtype: type) -> None:
    offsets = offsets_of(np.array([1, 0, 1, 1], dtype=dtype))
    assert offsets.dtype == np.int64
    assert offsets.tolist() == [0, 1, 1, 2, 3]
    assert offsets_of(np.array([], dtype=dtype)).tolist() == [0]


def test_offsets_of_short_types_do_not_overflow() -> None:
    assert offsets_of(np.full(3, 100, np.int8)).tolist() == [0, 100, 200, 300]


@settings(max_examples=100 * FUZZ)
@given(LISTS)
@example([])
@example([[]])
def test_flatten(lists: list[list[int]]) -> None:
    check(flatten(lists), lists)


@settings(max_examples=200 * FUZZ)
@given(LISTS, st.none() | st.integers(0, 7))
@example([], 3)
@example([[1, 2, 3]], 3)
@example([[1, 2, 3], [4], [1, 2, 3, 4]], 3)
@example([[1, 2], []], 0)
def test_keep_first(lists: list[list[int]], count: int | None) -> None:
    check(keep_first(flatten(lists), count), [ids[:count] for ids in lists])


@settings(max_examples=200 * FUZZ)
@given(LISTS, st.none() | st.integers(0, 5))
@example([], 0)
@example([[0], [0, 1, 0], [], [1, 0]], 0)
def test_drop(lists: list[list[int]], token_id: int | None) -> None:
    check(drop(flatten(lists), token_id), [[each for each in ids if each != token_id] for ids in lists])


@settings(max_examples=200 * FUZZ)
@given(st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 9), max_size=5)), max_size=8))
@example([])
@example([(True, [1, 2]), (False, [3]), (True, []), (False, [4, 5])])
def test_merge(parts: list[tuple[bool, list[int]]]) -> None:
    first = np.array([is_first for is_first, _ in parts], dtype=np.bool_)
    of_first = flatten([ids for is_first, ids in parts if is_first])
    of_rest = flatten([ids for is_first, ids in parts if not is_first])
    check(merge(first, of_first, of_rest), [ids for _, ids in parts])


def test_what_stays_the_same_is_not_copied() -> None:
    tokens = flatten([[1, 2, 3], []])
    assert keep_first(tokens, None) is tokens
    assert keep_first(tokens, 3) is tokens
    assert drop(tokens, None) is tokens
    assert drop(tokens, 7) is tokens


def test_the_input_is_left_alone() -> None:
    tokens = flatten([[1, 2, 3], [2]])
    keep_first(tokens, 1)
    drop(tokens, 2)
    assert tokens.lists() == [[1, 2, 3], [2]]


def test_repr_is_short() -> None:
    assert repr(flatten([[1, 2, 3], []])) == "TokenIds(2 texts, 3 ids)"
