"""Comparing what two machines computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from portvec._artifact.format import TOLERANCE
from portvec._inference.verify import relative_differences


@dataclass(frozen=True)
class Row:
    """One artifact, embedded on one processor with one tokenizer.

    Attributes:
        cpu: the processor.
        model: name of the model.
        dtype: type of its table.
        tokenizer: name of the implementation.
        texts: number of texts.
        other_ids: number of those whose token ids differ from x86's.
        worst: largest difference of a component from x86's vector, over its norm.
        verified: the same relative to the recorded vectors, from `portvec.verify`.
        seconds: time to load and embed.
    """

    cpu: str
    model: str
    dtype: str
    tokenizer: str
    texts: int
    other_ids: int
    worst: float
    verified: float
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether ids and vectors are those of x86. NaN is not."""
        return self.other_ids == 0 and self.worst <= TOLERANCE


def compare(got: Path, expected: Path) -> tuple[int, int, float]:
    """Return the number of texts, how many have other token ids, and the worst vector difference."""
    ours, theirs = dict(np.load(got)), dict(np.load(expected))
    count = len(theirs["offsets"]) - 1
    if ours["embeddings"].shape != theirs["embeddings"].shape or len(ours["offsets"]) != count + 1:
        raise ValueError(f"{got} holds {ours['embeddings'].shape}, expected {theirs['embeddings'].shape}")
    other_ids = sum(not np.array_equal(_ids(ours, index), _ids(theirs, index)) for index in range(count))
    return count, other_ids, float(relative_differences(ours["embeddings"], theirs["embeddings"]).max())


def _ids(arrays: dict[str, np.ndarray], index: int) -> np.ndarray:
    start, stop = arrays["offsets"][index : index + 2]
    return arrays["ids"][start:stop]


def table(rows: Sequence[Row]) -> str:
    """Return the rows in Markdown."""
    lines = [
        "| CPU | model | dtype | tokenizer | texts | ids identical | worst difference | verify | seconds |",
        "|---|---|---|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        cells = (
            *(row.cpu, row.model, row.dtype, row.tokenizer, f"{row.texts:,}"),
            f"{row.texts - row.other_ids:,}",
            *(f"{row.worst:.1e}", f"{row.verified:.1e}", f"{row.seconds:.1f}"),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
