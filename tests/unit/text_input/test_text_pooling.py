"""From the ids of texts to padded ids and sums of vectors, in a graph."""

from __future__ import annotations

import numpy as np
import pytest

from flat_texts import run_all
from portvec_export._onnx.builder import Graph
from portvec_export._source.vectors import TokenVectors
from portvec_export._table.registry import encode_table
from portvec_export._text_input.arrays.flat import END_ID, OPSET, Ids
from portvec_export._text_input.limits import pool_ids
from portvec_export._text_input.pooling import add_counts, add_padded_ids, add_sums

Batch = list[list[int]]
ROWS = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32)


def random_batch(texts: int, longest: int, seed: int) -> Batch:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 50, generator.integers(0, longest + 1)).tolist() for _ in range(texts)]


def feed(batch: Batch) -> dict[str, np.ndarray]:
    ids = [token for text in batch for token in text]
    texts = np.repeat(np.arange(len(batch)), list(map(len, batch)))
    return {"ids": np.array([*ids, END_ID], np.int32), "texts": np.array([*texts, len(batch)], np.int64)}


BATCHES: list[Batch] = [
    [[1, 2, 3]],
    [[]],
    [[], []],
    [[], [5], [], [7, 7, 7, 3], []],
    random_batch(16, 5, 0),
    random_batch(17, 5, 1),
    random_batch(100, 30, 2),
    [random_batch(1, 3000, 4)[0], *random_batch(40, 3, 3)],
]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "int4"])
@pytest.mark.parametrize(("max_length", "unk_id"), [(None, None), (3, None), (4, 7), (None, 7), (0, None)])
def test_ids_are_cut_dropped_padded_and_summed(
    dtype: str, max_length: int | None, unk_id: int | None
) -> None:
    table = encode_table(dtype, TokenVectors(ROWS, None, None), max_length)
    graph = Graph(OPSET)
    ids = Ids(graph.input("ids", np.int32, ["ids"]), graph.input("texts", np.int64, ["ids"]))
    pooled = pool_ids(graph, ids, max_length, unk_id)
    graph.output("padded", add_padded_ids(graph, pooled), np.int64, ["a", "b"])
    graph.output("counts", add_counts(graph, pooled), np.float32, ["a", 1])
    graph.output("sums", add_sums(graph, pooled, table), np.float32, ["a", 8])
    rows = table.dequantized[slice(None)].astype(np.float64)
    results = run_all(graph, list(map(feed, BATCHES)))
    for batch, (padded, counts, sums) in zip(BATCHES, results, strict=True):
        kept = [[each for each in text[:max_length] if each != unk_id] for text in batch]
        length = max(1, *map(len, kept)) if kept else 1
        assert padded.tolist() == [[*text, *[-1] * (length - len(text))] for text in kept]
        assert counts[:, 0].tolist() == list(map(len, kept))
        expected = np.stack([rows[text].sum(axis=0) for text in kept])
        np.testing.assert_allclose(sums, expected, rtol=0, atol=3e-6 * np.abs(expected).max() + 1e-30)
