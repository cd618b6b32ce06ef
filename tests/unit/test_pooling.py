"""Single texts from the tables alone: the same embedding as by the graphs, whatever the table's type."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model2vec import StaticModel

import tiny_models
from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact, open_artifact
from portvec._inference.batching import Tiling, lay_out, lay_out_one
from portvec._inference.graph_validation import check_graph
from portvec._inference.graphs import choose_strategy
from portvec._inference.pooling import Pooling
from portvec._inference.table import Table, open_table
from portvec._inference.target import Target
from portvec._vocabulary.token_ids import flatten
from portvec.errors import ArtifactError
from portvec_export import export_model
from portvec_export._source.vectors import vectors_of
from portvec_export._table.registry import encode_table

DTYPES = ["float32", "float16", "int8", "int4"]
SIZE = 800
RNG = np.random.default_rng(7)
# Lengths at which sums are cut, and that a query has.
LENGTHS = [1, 2, 5, 16, 17, 40, 300, 2047, 2048, 2049, 5000]
TEXTS = [RNG.integers(0, SIZE, count) for count in LENGTHS]


def plain(dim: int) -> dict[str, Any]:
    return {"vectors": tiny_models.vectors(SIZE, dim)}


def magnitudes(dim: int) -> dict[str, Any]:
    """Rows of very different magnitudes, which need float scales."""
    factors = 2.0 ** RNG.integers(-12, 3, SIZE)
    return {"vectors": (tiny_models.vectors(SIZE, dim) * factors[:, None]).astype(np.float32)}


def weighted(dim: int) -> dict[str, Any]:
    return {**plain(dim), "weights": RNG.uniform(0.1, 2, SIZE).astype(np.float32)}


def shared(dim: int) -> dict[str, Any]:
    """Vocabulary quantization: token ids share vectors, and have weights."""
    return {
        "vectors": tiny_models.vectors(50, dim),
        "token_mapping": RNG.integers(0, 50, SIZE),
        "weights": RNG.uniform(0.1, 2, SIZE).astype(np.float32),
    }


def mapped(dim: int) -> dict[str, Any]:
    return {"vectors": tiny_models.vectors(50, dim), "token_mapping": RNG.integers(0, 50, SIZE)}


MODELS = {each.__name__: each for each in (plain, magnitudes, weighted, shared, mapped)}
# Which tensors a table has besides its vectors, and the mapping of ids to them.
FACTORS = {
    ("int8", "plain"): {fmt.ROW_WEIGHTS},
    ("int8", "mapped"): {fmt.ROW_WEIGHTS},
    ("int8", "magnitudes"): {fmt.WEIGHTS},
    ("int4", "plain"): {fmt.BLOCK_WEIGHTS},
    ("int4", "mapped"): {fmt.BLOCK_WEIGHTS},
    ("int4", "magnitudes"): {fmt.SCALES},
    ("int4", "shared"): {fmt.SCALES, fmt.WEIGHTS},
}


def table_of(artifact: Artifact, name: str = fmt.RUNTIME_GRAPH) -> Table:
    table = open_table(check_graph(artifact, name, fmt.data_of(fmt.GRAPH)), artifact.manifest)
    assert table is not None
    return table


def pooling_of(artifact: Artifact, name: str = fmt.RUNTIME_GRAPH) -> Pooling:
    return Pooling(table_of(artifact, name), normalize=artifact.manifest.normalize)


def exact_vectors(model: StaticModel, dtype: str) -> np.ndarray:
    """Return the vector of each token id in float64, from the values that the table stands for."""
    vectors = vectors_of(model)
    rows = np.asarray(encode_table(dtype, vectors, model.max_length).dequantized[:], dtype=np.float64)
    mapping = np.arange(SIZE) if vectors.mapping is None else vectors.mapping
    weights = np.ones(SIZE) if vectors.weights is None else vectors.weights.astype(np.float64)
    return np.asarray(rows[mapping] * weights[:, None])


def exact(model: StaticModel, dtype: str, normalize: bool) -> list[np.ndarray]:
    """Return the embeddings of the texts, computed in float64 from the values that the table stands for."""
    vectors = exact_vectors(model, dtype)
    means = [vectors[ids].mean(axis=0) for ids in TEXTS]
    return [mean / np.linalg.norm(mean) if normalize else mean for mean in means]


def assert_within(got: np.ndarray, expected: np.ndarray, part: float) -> None:
    assert got.dtype == np.float32
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= part * np.linalg.norm(expected)


@pytest.mark.parametrize(
    ("kind", "dtype", "dim", "normalize"),
    [*product(MODELS, DTYPES, [40], [False]), *product(["plain"], DTYPES, [3, 64], [True])],
)
def test_embeddings_are_those_of_the_graph(
    kind: str, dtype: str, dim: int, normalize: bool, tmp_path: Path
) -> None:
    folder = tiny_models.save(tmp_path / "model", normalize=normalize, **MODELS[kind](dim))
    model = StaticModel.from_pretrained(folder)
    artifact = open_artifact(export_model(folder, tmp_path / "artifact", dtype=dtype))
    pooling = pooling_of(artifact)
    tensors = check_graph(artifact, fmt.RUNTIME_GRAPH, fmt.data_of(fmt.GRAPH)).tensors
    assert dim == 3 or FACTORS.get((dtype, kind), set()) <= tensors.keys()
    graph = choose_strategy(artifact, Target(fmt.SENTENCE_EMBEDDING, dim))
    for ids, expected in zip(TEXTS, exact(model, dtype, normalize), strict=True):
        got = pooling.embed(ids)
        assert_within(got, expected, 2e-6 if len(ids) <= 300 else 2e-5)
        batch = lay_out_one(ids, SIZE)
        assert_within(got, graph.run(batch)[0], 1e-6)
        np.testing.assert_array_equal(pooling.embed_batch(batch), got[np.newaxis])
    assert not pooling.embed(np.array([], np.int64)).any()
    np.testing.assert_array_equal(pooling_of(artifact, fmt.GRAPH).embed(TEXTS[5]), pooling.embed(TEXTS[5]))


@pytest.mark.parametrize(("kind", "dtype", "dim"), [*product(MODELS, DTYPES, [40]), ("plain", "int4", 64)])
def test_vectors_are_the_values_that_the_table_stands_for(
    kind: str, dtype: str, dim: int, tmp_path: Path
) -> None:
    folder = tiny_models.save(tmp_path / "model", normalize=True, **MODELS[kind](dim))
    expected = exact_vectors(StaticModel.from_pretrained(folder), dtype)
    artifact = open_artifact(export_model(folder, tmp_path / "artifact", dtype=dtype))
    for name in (fmt.RUNTIME_GRAPH, fmt.GRAPH):
        table = table_of(artifact, name)
        for ids in TEXTS:
            got = table.gather(ids)
            assert got.dtype == np.float32
            np.testing.assert_allclose(got, expected[ids], rtol=5e-7, atol=1e-12)
    assert table.gather(np.array([], np.int64)).shape == (0, dim)
    assert not table.gather(np.array([SIZE])).any()  # the zero row
    with pytest.raises(ArtifactError, match=r"model\.onnx: has no vector for a token id \(.*; run 'portvec"):
        table.gather(np.array([3, SIZE + 1]))
    got[:] = 0  # the caller's own
    np.testing.assert_allclose(table.gather(ids), expected[ids], rtol=5e-7, atol=1e-12)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("normalize", [True, False])
def test_float32_is_model2vec_bit_for_bit(kind: str, normalize: bool, tmp_path: Path) -> None:
    folder = tiny_models.save(tmp_path / "model", normalize=normalize, **MODELS[kind](256))
    model = StaticModel.from_pretrained(folder)
    pooling = pooling_of(open_artifact(export_model(folder, tmp_path / "artifact")))
    for ids in TEXTS:
        model.tokenize = lambda ids=ids, **_: [ids.tolist()]  # type: ignore[method-assign]
        np.testing.assert_array_equal(pooling.embed(ids), model.encode(["a text"])[0])


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    folder = tiny_models.save(tmp_path / "model", **mapped(24))
    return open_artifact(export_model(folder, tmp_path / "artifact", dtype="int8"))


def test_batches(artifact: Artifact) -> None:
    pooling = pooling_of(artifact)
    tokens = flatten([ids.tolist() for ids in TEXTS[:7]] * 3)
    for rows, batch in lay_out(tokens, Tiling(SIZE, 100)):
        got = pooling.embed_batch(batch)
        assert got.shape == (batch.counts.size, 24)
        for row, embedding in zip(rows.tolist(), got, strict=False):
            np.testing.assert_array_equal(embedding, pooling.embed(TEXTS[row % 7]))


def test_a_token_id_beyond_the_table(artifact: Artifact) -> None:
    pooling = pooling_of(artifact)
    assert not pooling.embed(np.array([SIZE])).any()  # the zero row
    for ids in ([SIZE + 1], [3, 2**31 - 1], [2**40, 3], [0] * 5000 + [SIZE + 1]):
        with pytest.raises(ArtifactError, match=r"portvec\.graph: has no vector for a token id \(.*; run "):
            pooling.embed(np.array(ids))


def test_a_mapping_beyond_the_table(artifact: Artifact) -> None:
    graph = check_graph(artifact, fmt.RUNTIME_GRAPH, fmt.data_of(fmt.GRAPH))
    mapping = graph.tensors[fmt.MAPPING].copy()
    mapping[5] = 51
    changed = replace(graph, tensors={**graph.tensors, fmt.MAPPING: mapping})
    table = open_table(changed, artifact.manifest)
    assert table is not None
    assert table.add(np.array([4])).any()
    for method in (table.add, table.gather):
        with pytest.raises(ArtifactError, match="has no vector for a token id"):
            method(np.array([4, 5]))


ZEROS = np.zeros
MISFITS: dict[str, dict[str, Any]] = {
    "no vectors": {fmt.VECTORS: None},
    "no scale": {fmt.SCALE: None},
    "no row weights, and so float vectors are expected": {fmt.ROW_WEIGHTS: None, fmt.WEIGHTS: ZEROS(3, "f4")},
    "vectors that are no table": {fmt.VECTORS: ZEROS((), "i1")},
    "vectors of another type": {fmt.VECTORS: ZEROS((51, 24), "f4")},
    "vectors with other columns": {fmt.VECTORS: ZEROS((51, 25), "i1")},
    "vectors without a zero row": {fmt.MAPPING: None},
    "mapping of another type": {fmt.MAPPING: ZEROS(SIZE + 1, "i4")},
    "mapping for fewer ids": {fmt.MAPPING: ZEROS(SIZE, "i8")},
    "row weights for fewer rows": {fmt.ROW_WEIGHTS: ZEROS(50, "u1")},
    "row weights of another type": {fmt.ROW_WEIGHTS: ZEROS(51, "i1")},
    "a scale of another type": {fmt.SCALE: ZEROS((), "f2")},
    "scales for rows": {fmt.SCALE: ZEROS(51, "f4")},
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_tables_that_are_not_what_the_format_says(misfit: str, artifact: Artifact) -> None:
    """They are left to the graph, which may know them."""
    graph = check_graph(artifact, fmt.RUNTIME_GRAPH, fmt.data_of(fmt.GRAPH))
    assert open_table(graph, artifact.manifest) is not None
    changed = {**graph.tensors, **MISFITS[misfit]}
    tensors = {name: array for name, array in changed.items() if array is not None}
    assert open_table(replace(graph, tensors=tensors), artifact.manifest) is None


def test_threads_share_a_pooling(artifact: Artifact) -> None:
    pooling = pooling_of(artifact)
    expected = [pooling.embed(ids) for ids in TEXTS]
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait(10)
        for _ in range(50):
            for ids, row in zip(TEXTS[:7], expected, strict=False):
                np.testing.assert_array_equal(pooling.embed(ids), row)

    with ThreadPoolExecutor(4) as executor:
        for future in [executor.submit(work) for _ in range(4)]:
            future.result()


def test_results_are_the_callers_own(artifact: Artifact) -> None:
    pooling = pooling_of(artifact)
    first = pooling.embed(TEXTS[3])
    kept = first.copy()
    pooling.embed(TEXTS[4])[:] = 0
    np.testing.assert_array_equal(first, kept)
    first[:] = 0
    np.testing.assert_array_equal(pooling.embed(TEXTS[3]), kept)
