"""Comparing embeddings that onnxruntime may have rounded differently."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def assert_close(rows: npt.NDArray[np.float32], expected: npt.NDArray[Any]) -> None:
    """Compare unit vectors. A batch has another shape than a single text, and so other kernels."""
    np.testing.assert_allclose(rows, expected, rtol=0, atol=3e-7)
