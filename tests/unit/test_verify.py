"""How far embeddings are from the recorded ones, relative to their norm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from portvec._inference.verify import relative_differences


def differences(rows: Any, expected: Any, floor: float = 0.0) -> list[float]:
    found: list[float] = relative_differences(np.float32(rows), np.float32(expected), floor).tolist()
    return found


def test_the_largest_component_counts_relative_to_the_norm() -> None:
    assert differences([[3, 4.5], [3.25, 4]], [[3, 4], [3, 4]]) == [0.1, 0.05]
    assert differences([[30, 45]], [[30, 40]]) == [0.1]
    assert differences([[-1, 0]], [[1, 0]]) == [2.0]


def test_only_a_zero_row_matches_a_zero_row() -> None:
    assert differences([[0, 0], [0, 0.25]], [[0, 0], [0, 0]]) == [0.0, 0.25]


def test_small_norms_count_as_the_floor() -> None:
    expected = [[0.25, 0], [4, 0], [0, 0]]
    assert differences([[0.5, 0], [5, 0], [0.5, 0]], expected, floor=1.0) == [0.25, 0.25, 0.5]
    assert differences([[0.5, 0], [5, 0], [0.5, 0]], expected, floor=2.0) == [0.125, 0.25, 0.25]


def test_nan_stays_nan() -> None:
    assert np.isnan(differences([[float("nan"), 1]], [[1, 1]])).all()


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_nothing_differs_by_nothing(shape: tuple[int, int]) -> None:
    rows = np.zeros(shape, np.float32)
    assert relative_differences(rows, rows).tolist() == [0.0] * shape[0]
