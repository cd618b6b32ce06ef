"""Slots of pairs."""

from __future__ import annotations

import numpy as np
import pytest

from portvec_export._text_input.models.pair_slots import displace_pairs


def check(left: np.ndarray, right: np.ndarray, tokens: int) -> int:
    """Check the slots of pairs, and return how many slots there are in all."""
    base, slots = displace_pairs(left, right, tokens)
    assert len(base) == tokens
    assert base.min() >= 0
    np.testing.assert_array_equal(slots, base[left] + right)
    assert len(np.unique(slots)) == len(slots)
    return int(slots.max(initial=-1)) + 1


@pytest.mark.parametrize("tokens", [1, 2, 50, 3000])
def test_no_two_pairs_have_one_slot(tokens: int) -> None:
    random = np.random.default_rng(tokens)
    for power in (1, 3):
        pairs = (tokens * random.random((2 * tokens, 2)) ** power).astype(np.int64)
        left, right = random.permutation(np.unique(pairs, axis=0)).T
        assert check(left, right, tokens) <= 3 * tokens + 2 * len(left)


def test_no_pairs() -> None:
    none = np.zeros(0, np.int64)
    assert check(none, none, 3) == 0


def test_a_row_with_every_token() -> None:
    tokens = 5000
    left = np.concatenate([np.zeros(tokens, np.int64), np.arange(1, tokens), np.arange(1, tokens)])
    right = np.concatenate([np.arange(tokens), np.arange(1, tokens), np.zeros(tokens - 1, np.int64)])
    check(left, right, tokens)
