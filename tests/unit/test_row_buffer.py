import tracemalloc

import numpy as np
import pytest

from portvec._inference.row_buffer import RowBuffer


@pytest.mark.parametrize("counts", [[], [0], [3], [1] * 50, [5, 0, 70, 1]])
def test_rows_are_those_that_were_appended(counts: list[int]) -> None:
    random = np.random.default_rng(0)
    parts = [random.standard_normal((count, 3), dtype=np.float32) for count in counts]
    buffer = RowBuffer(3)
    for part in parts:
        buffer.append(part)
    rows = buffer.finish()
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, np.concatenate([np.empty((0, 3), np.float32), *parts]))


def test_there_is_no_second_copy() -> None:
    part = np.ones((1000, 256), dtype=np.float32)
    buffer = RowBuffer(256)
    tracemalloc.start()
    try:
        for _ in range(200):
            buffer.append(part)
        rows = buffer.finish()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rows.shape == (200_000, 256)
    assert peak < 1.15 * rows.nbytes
