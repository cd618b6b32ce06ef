"""Running the graphs with text input of an artifact, as any consumer would."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from portvec._artifact import format as fmt
from portvec._inference.onnxruntime import onnxruntime as ort
from portvec._inference.text_graph import lay_out_code_points, lay_out_strings
from portvec_export._text_input import proof

KINDS = list(fmt.TEXT_GRAPHS)


def prove_less(patch: pytest.MonkeyPatch) -> None:
    """Let exports prove a graph on a part of all code points, which takes less time."""
    low, high = proof.CODE_POINTS[:0x3100], proof.CODE_POINTS[0x3100::251]
    patch.setattr(proof, "CODE_POINTS", np.concatenate([low, high]))


class StockGraph:
    """A graph with text input in onnxruntime's default session."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._kind = kind
        self._session = ort.InferenceSession(str(folder / fmt.TEXT_GRAPHS[kind]))
        self.inputs = {each.name: (each.type, each.shape) for each in self._session.get_inputs()}
        self.outputs = {each.name: (each.type, each.shape) for each in self._session.get_outputs()}

    def run(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Return each output by its name."""
        lay_out = lay_out_strings if self._kind == fmt.STRINGS else lay_out_code_points
        return self._run(lay_out(texts))

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, and check that what pads them is at the end."""
        return _read(self.run(texts))

    def ids_of_code_points(self, rows: Sequence[Sequence[int]]) -> list[list[int]]:
        """Return the ids for rows of numbers, all of one length, whatever they are."""
        return _read(self._run(np.array(rows, dtype=np.int32)))

    def _run(self, feed: np.ndarray) -> dict[str, np.ndarray]:
        results = self._session.run(None, {fmt.TEXT_INPUTS[self._kind]: feed})
        return dict(zip(self.outputs, results, strict=True))


def _read(outputs: dict[str, np.ndarray]) -> list[list[int]]:
    padded = outputs[fmt.INPUT_IDS]
    counts = (padded != fmt.TEXT_PADDING).sum(axis=1).tolist()
    found = [row[:count].tolist() for row, count in zip(padded, counts, strict=True)]
    assert all(min(row, default=0) >= 0 for row in found)
    return found
