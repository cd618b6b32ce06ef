"""Measure the size and the quality of each type of table."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import models, texts
from portvec import StaticEmbedder
from portvec._artifact import format as fmt
from portvec._artifact.dtypes import DTYPES


def measure(count: int) -> list[dict[str, Any]]:
    """Return size and cosine to float32 of each table type of the bundled model, over paragraphs."""
    paragraphs = texts.paragraphs(count)
    rows = []
    for dtype in DTYPES:
        folder = models.artifact("wordpiece", dtype)
        vectors = StaticEmbedder.load(folder).encode(paragraphs).astype(np.float64)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-300)
        if dtype == "float32":
            exact = vectors
            kept = np.linalg.norm(exact, axis=1) > 0  # a zero vector has no direction
        cosines = (exact * vectors).sum(axis=1)[kept]
        size = (folder / fmt.data_of(fmt.GRAPH)).stat().st_size
        rows.append(
            {
                "dtype": dtype,
                "table_bytes": size,
                "texts": int(kept.sum()),
                "cosine_min": float(min(cosines.min(), 1.0)),
                "cosine_mean": float(min(cosines.mean(), 1.0)),
            }
        )
    return rows
