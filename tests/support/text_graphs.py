"""Graphs that read text, or a part of such a graph, under test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from portvec._inference.onnxruntime import onnxruntime as ort
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.flat import END, OPSET, Characters, Words
from portvec_export._text_input.code_points import flatten

Build = Callable[[Graph, Characters], "Characters | Words"]

# All code points that are characters, and so not surrogates.
EVERY_CODE = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]


def to_matrix(texts: Sequence[str]) -> npt.NDArray[np.int32]:
    """Return the code points of texts, padded with -1."""
    matrix = np.full((len(texts), max(map(len, texts), default=0)), -1, dtype=np.int32)
    for row, text in zip(matrix, texts, strict=True):
        row[: len(text)] = np.frombuffer(text.encode("utf-32-le"), dtype="<i4")
    return matrix


class TextGraph:
    """A graph of characters that are made of texts, with optimizations on and off."""

    def __init__(
        self, build: Build, *, max_characters: int | None = None, memory_pattern: bool = True
    ) -> None:
        graph = Graph(OPSET)
        matrix = graph.input("codepoints", np.int32, ["batch_size", "length"])
        result = build(graph, flatten(graph, matrix, max_characters))
        values: list[Value] = [result.codes, result.texts]
        if isinstance(result, Words):
            values.append(result.words)
        for number, value in enumerate(values):
            dtype = np.int64 if number else np.int32
            graph.output(f"output_{number}", graph.identity(value), dtype, [f"length_{number}"])
        self.model = graph.to_model().SerializeToString()
        self.sessions = []
        for level in (ort.GraphOptimizationLevel.ORT_ENABLE_ALL, ort.GraphOptimizationLevel.ORT_DISABLE_ALL):
            options = ort.SessionOptions()
            options.graph_optimization_level = level
            options.intra_op_num_threads = 1
            self.sessions.append(ort.InferenceSession(self.model, options))

    def run(self, texts: Sequence[str], *, all_levels: bool = True) -> list[npt.NDArray[Any]]:
        """Return codes, texts, and for words the words of the characters; checked to be the same twice."""
        feeds = {"codepoints": to_matrix(texts)}
        found = [session.run(None, feeds) for session in self.sessions[: 2 if all_levels else 1]]
        for left, right in zip(found[0], found[-1], strict=True):
            np.testing.assert_array_equal(left, right)
        outputs: list[npt.NDArray[Any]] = found[0]
        return outputs

    def characters(self, texts: Sequence[str], *, all_levels: bool = True) -> list[list[str | int]]:
        """Return each text as a list of strings, and of the negative codes between them."""
        codes, rows = self.run(texts, all_levels=all_levels)
        return _group(codes, rows, np.cumsum(_is_bound(codes, rows)), len(texts))

    def words(self, texts: Sequence[str], *, all_levels: bool = True) -> list[list[str | int]]:
        """Return the words of each text, and the negative codes between them."""
        codes, rows, words = self.run(texts, all_levels=all_levels)
        assert len(codes) == len(words)
        assert words[0] == 0
        assert set(np.diff(words).tolist()) <= {0, 1}
        assert len(rows) == words[-1] + 1
        return _group(codes, rows[words], words, len(texts))


def _is_bound(codes: npt.NDArray[Any], rows: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which characters start a segment, or are an added token."""
    starts = np.ones(len(codes), dtype=np.bool_)
    starts[1:] = (rows[1:] != rows[:-1]) | (codes[1:] < 0) | (codes[:-1] < 0)
    return starts


def _group(
    codes: npt.NDArray[Any], rows: npt.NDArray[Any], groups: npt.NDArray[Any], count: int
) -> list[list[str | int]]:
    assert (codes[-1], rows[-1]) == (END, count)
    assert (np.diff(rows) >= 0).all()
    texts: list[list[str | int]] = [[] for _ in range(count)]
    bounds = [*np.flatnonzero(np.diff(groups, prepend=groups[0] - 1)).tolist(), len(codes)]
    text = codes.astype("<i4")
    for start, end in pairwise(bounds[:-1]):
        part = text[start:end]
        is_token = part[0] < 0
        assert not is_token or end - start == 1
        found = int(part[0]) if is_token else part.tobytes().decode("utf-32-le")
        texts[rows[start]].append(found)
    return texts
