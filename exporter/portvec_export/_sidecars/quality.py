"""What a smaller table costs: the cosine of its vectors to those of the source's float32 table."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from portvec._artifact.manifest import Cosine


def compare_directions(source: npt.NDArray[np.float32], artifact: npt.NDArray[np.float32]) -> Cosine:
    """Return the cosines between the embeddings (n, dim) that a source and its artifact give for some texts.

    Texts without known tokens have no direction, and do not count.
    """
    kept = source.any(axis=1)
    if not kept.any():
        return Cosine(texts=0, min=1.0, mean=1.0)
    a, b = source[kept].astype(np.float64), artifact[kept].astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = np.divide((a * b).sum(axis=1), norms, out=np.zeros(len(a)), where=norms > 0)
    return Cosine(texts=len(a), min=round(float(cosines.min()), 6), mean=round(float(cosines.mean()), 6))
