"""What a smaller table costs: the cosine of its vectors to those of the source's float32 table."""

from __future__ import annotations

import re
from pydoc_data.topics import topics

import numpy as np
import numpy.typing as npt

from portvec._artifact.manifest import Cosine, Quality

_PARAGRAPHS = 2000


def paragraphs() -> list[str]:
    """Return real English text that every Python brings: its language reference, as pydoc shows it."""
    parts = (part.strip() for topic in topics.values() for part in re.split(r"\n\s*\n", topic))
    return list(dict.fromkeys(part for part in parts if len(part) > 40))[:_PARAGRAPHS]


def quality(
    recorded: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    larger: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
) -> Quality:
    """Return the cosines between pairs of (source's, artifact's) embeddings (n, dim)."""
    return Quality(conformance=_cosine(*recorded), paragraphs=_cosine(*larger))


def _cosine(source: npt.NDArray[np.float32], artifact: npt.NDArray[np.float32]) -> Cosine:
    """Texts without known tokens have no direction, and do not count."""
    kept = np.linalg.norm(source, axis=1) > 0
    a, b = source[kept].astype(np.float64), artifact[kept].astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = np.divide((a * b).sum(axis=1), norms, out=np.zeros(len(a)), where=norms > 0)
    return Cosine(texts=len(a), min=round(float(cosines.min()), 6), mean=round(float(cosines.mean()), 6))
