"""The table of each dtype: its values, its rounding errors, and what its nodes compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from portvec._artifact import format as fmt
from portvec._artifact.dtypes import DTYPES
from portvec._inference.onnxruntime import onnxruntime as ort
from portvec.errors import ExportError
from portvec_export._onnx.builder import Graph
from portvec_export._source.rows import Rows, convert, same_rows
from portvec_export._source.vectors import TokenVectors
from portvec_export._table.int4 import Int4FloatTable, Int4Table
from portvec_export._table.int8 import Int8Table
from portvec_export._table.registry import codec_for
from portvec_export._table.table import PaddedIds, Table
from portvec_export._table.upcast import UpcastTable

ROWS, DIM = 50, 40  # a block and a quarter of int4
RNG = np.random.default_rng(0)
VALUES = RNG.standard_normal((ROWS, DIM)).astype(np.float32)

# Largest error of a value, as a part of the largest value of its row.
BOUNDS = {"float32": 0.0, "float16": 2.0**-11, "int8": 0.51 / 127, "int4": 0.51 / 7.5}

VECTORS = {
    "plain": TokenVectors(VALUES),
    "mapping": TokenVectors(VALUES, mapping=RNG.integers(0, ROWS, 90)),
    "weights": TokenVectors(
        VALUES, mapping=RNG.integers(0, ROWS, 90), weights=RNG.random(90).astype(np.float32)
    ),
}


def sums(table: Table, ids: npt.NDArray[np.int64], *, position_first: bool, counted: bool) -> np.ndarray:
    """Run the nodes of a table on ids (batch, length); return float32 (batch, dim)."""
    graph = Graph()
    axes = ["length", "batch"] if position_first else ["batch", "length"]
    given = graph.input("ids", np.int64, axes)
    count = graph.input("count", np.float32, ["batch", 1]) if counted else None
    total = table.add_sum(graph, PaddedIds(given, position_first, count))
    graph.output("total", total, np.float32, ["batch", table.dim])
    feeds: dict[str, Any] = {"ids": np.ascontiguousarray(ids.T) if position_first else ids}
    if counted:
        feeds["count"] = (ids != table.vocabulary.zero_id).sum(axis=1, keepdims=True).astype(np.float32)
    session = ort.InferenceSession(graph.to_model().SerializeToString())
    output: np.ndarray = session.run(None, feeds)[0]
    return output


def expected_sums(vectors: TokenVectors, table: Table, ids: npt.NDArray[np.int64]) -> np.ndarray:
    """Sum what a table holds, with a vector of zeros for its zero id."""
    by_id = table.dequantized[:].astype(np.float64)
    if vectors.mapping is not None:
        by_id = by_id[vectors.mapping]
    if vectors.weights is not None:
        by_id = by_id * vectors.weights[:, None]
    return np.asarray(np.append(by_id, np.zeros((1, table.dim)), axis=0)[ids].sum(axis=1))


@pytest.fixture(params=[512, None], ids=["limited", "any length"])
def max_length(request: pytest.FixtureRequest) -> int | None:
    """Without a limit, integer sums might overflow, so that tables have float scales."""
    length: int | None = request.param
    return length


def test_registry_knows_every_dtype_of_the_format() -> None:
    graphs = [codec_for(dtype).variant_graph for dtype in DTYPES]
    assert len(set(graphs)) == len(graphs)
    assert codec_for("float32").variant_graph == fmt.GRAPH


@pytest.mark.parametrize("kind", VECTORS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_are_within_the_dtypes_error(dtype: str, kind: str, max_length: int | None) -> None:
    table = codec_for(dtype).encode(VECTORS[kind], max_length)
    stored = table.dequantized[:]
    assert (table.dim, table.dequantized.shape) == (DIM, (ROWS, DIM))
    errors = np.abs(stored - VALUES.astype(np.float64)).max(axis=1)
    # Rows of int8 share a scale in steps of 1/128 of the largest.
    slack = 0.5 * np.abs(VALUES).max() / (127 * 128) if dtype == "int8" else 0.0
    assert (errors <= BOUNDS[dtype] * np.abs(VALUES).max(axis=1) + slack).all()
    assert same_rows(table.dequantized, VALUES) == (dtype == "float32")


@pytest.mark.parametrize("kind", VECTORS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_nodes_sum_the_stored_values(dtype: str, kind: str, max_length: int | None) -> None:
    vectors = VECTORS[kind]
    table = codec_for(dtype).encode(vectors, max_length)
    assert table.vocabulary.zero_id == vectors.vocabulary_size
    ids = np.random.default_rng(1).integers(0, table.vocabulary.zero_id, (7, 30))
    ids[2, 5:] = table.vocabulary.zero_id
    ids[4] = table.vocabulary.zero_id
    expected = expected_sums(vectors, table, ids)
    for position_first in (True, False):
        for counted in (True, False):
            got = sums(table, ids, position_first=position_first, counted=counted)
            np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6 * np.abs(expected).max())
            assert not got[4].any()


@pytest.mark.parametrize("kind", VECTORS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_positions_sum_to_zero(dtype: str, kind: str, max_length: int | None) -> None:
    table = codec_for(dtype).encode(VECTORS[kind], max_length)
    got = sums(table, np.zeros((3, 0), np.int64), position_first=False, counted=True)
    np.testing.assert_array_equal(got, np.zeros((3, DIM), np.float32))


@pytest.mark.parametrize(("dtype", "kind"), [("int8", Int8Table), ("int4", Int4Table)])
def test_integer_scales_sum_exactly(dtype: str, kind: type) -> None:
    """Where float32 would round at every step: a large sum, then small terms."""
    values = np.full((3, 32), 2e-3, np.float32)
    values[0] = 1
    values[1] = -1
    table = codec_for(dtype).encode(TokenVectors(values), 10_000)
    assert isinstance(table, kind)
    ids = np.array([[0] * 2000 + [2] * 3000 + [1] * 2000])
    expected = expected_sums(TokenVectors(values), table, ids)
    got = sums(table, ids, position_first=True, counted=False)
    np.testing.assert_allclose(got, expected, rtol=2e-7)


class TestChoiceOfScales:
    @pytest.mark.parametrize(
        ("dtype", "integer", "floating"),
        [("int8", Int8Table, UpcastTable), ("int4", Int4Table, Int4FloatTable)],
    )
    def test_integer_scales_where_they_do(self, dtype: str, integer: type, floating: type) -> None:
        def made_for(vectors: TokenVectors, max_length: int | None = 512) -> type:
            return type(codec_for(dtype).encode(vectors, max_length))

        assert made_for(VECTORS["plain"]) is integer
        assert made_for(VECTORS["mapping"]) is integer
        assert made_for(VECTORS["weights"]) is floating
        assert made_for(VECTORS["plain"], None) is floating
        assert made_for(VECTORS["plain"], 10_000_000) is floating
        apart = VALUES * np.logspace(-5, 5, ROWS, dtype=np.float32)[:, None]
        assert made_for(TokenVectors(apart)) is floating

    @pytest.mark.parametrize("magnitude", [1e-6, 1.0, 1e6])
    def test_int8_has_float_scales_where_a_row_would_lose_a_tenth(self, magnitude: float) -> None:
        def made_for(smallest: float) -> type:
            values = np.float32(magnitude) * np.array([[1.0] * 8, [smallest] * 8], np.float32)
            return type(codec_for("int8").encode(TokenVectors(values), 512))

        step = 1 / (127 * 128)  # of a row with the weight 1, if the largest value is 1
        assert made_for(1.04 * step) is Int8Table
        assert made_for(1.45 * step) is UpcastTable

    def test_int8_has_the_smallest_weight_where_it_is_enough(self) -> None:
        values = np.array([[1.0] * 8, [1 / 128] * 8], np.float32)
        table = codec_for("int8").encode(TokenVectors(values), 512)
        assert isinstance(table, Int8Table)
        assert table.row_weights.tolist() == [128, 1, 0]
        assert np.abs(table.vectors).max(axis=1).tolist() == [127, 127, 0]

    @pytest.mark.parametrize(
        ("dtype", "integer", "length"), [("int8", Int8Table, 132_104), ("int4", Int4Table, 123_361)]
    )
    def test_sums_of_the_longest_texts_do_not_overflow(self, dtype: str, integer: type, length: int) -> None:
        values = np.ones((1, 32), np.float32)
        values[0, 0] = -1  # which takes the lowest code of int4
        table = codec_for(dtype).encode(TokenVectors(values), length)
        assert isinstance(table, integer)
        assert not isinstance(codec_for(dtype).encode(TokenVectors(values), length + 1), integer)
        ids = np.zeros((1, length), np.int64)
        got = sums(table, ids, position_first=True, counted=False)
        np.testing.assert_allclose(got, expected_sums(TokenVectors(values), table, ids), rtol=2e-7)


@pytest.mark.parametrize("magnitude", [1e-30, 1e-12, 1e-5, 1e5, 1e12, 1e30])
@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_tables_of_any_magnitude(dtype: str, magnitude: float, max_length: int | None) -> None:
    values = VALUES * np.float32(magnitude)
    table = codec_for(dtype).encode(TokenVectors(values), max_length)
    largest = np.abs(values.astype(np.float64)).max(axis=1)
    errors = np.abs(table.dequantized[:] - values.astype(np.float64)).max(axis=1)
    assert (errors <= 1.3 * BOUNDS[dtype] * largest).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_tables_of_zeros(dtype: str, max_length: int | None) -> None:
    table = codec_for(dtype).encode(TokenVectors(np.zeros((4, DIM), np.float32)), max_length)
    np.testing.assert_array_equal(table.dequantized[:], np.zeros((4, DIM)))
    got = sums(table, np.array([[0, 1, 4]]), position_first=False, counted=True)
    np.testing.assert_array_equal(got, np.zeros((1, DIM)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_are_read_by_slice_list_and_array(dtype: str, max_length: int | None) -> None:
    rows = codec_for(dtype).encode(VECTORS["plain"], max_length).dequantized
    whole = rows[:]
    np.testing.assert_array_equal(rows[3:5], whole[3:5])
    np.testing.assert_array_equal(rows[[4, 1]], whole[[4, 1]])
    matrix = np.array([[1, 2], [3, 1]])
    np.testing.assert_array_equal(rows[matrix], whole[matrix])


def test_float16_refuses_what_it_cannot_hold() -> None:
    codec_for("float16").encode(TokenVectors(np.full((1, 4), 65_504, np.float32)), None)
    with pytest.raises(ExportError, match=r"values beyond float16 \(up to 6\.55e\+04\); choose dtype="):
        codec_for("float16").encode(TokenVectors(np.full((1, 4), 65_520, np.float32)), None)


def test_rows_compare_by_value() -> None:
    halves = VALUES.astype(np.float16)
    assert same_rows(convert(halves, np.float32), halves.astype(np.float32))
    assert not same_rows(VALUES, VALUES[:-1])
    changed = VALUES.copy()
    changed[-1, -1] += 1
    assert not same_rows(VALUES, changed)
    assert isinstance(convert(halves, np.float32), Rows)
    assert convert(VALUES, np.float32) is VALUES


def test_int4_codes_stay_within_four_bits() -> None:
    # The second block is so small beside the first that its step is rounded down, from 1.4 to 1.
    rows = np.zeros((1, 64), dtype=np.float32)
    rows[0, 0] = 1.0
    rows[0, 32] = -1.4 / (128 * 128 - 1)
    table = codec_for("int4").encode(TokenVectors(rows), 512)
    assert isinstance(table, Int4Table)
    values = table.dequantized[:][0]
    assert values[32] == pytest.approx(-8 / 7.5 / (128 * 128 - 1), rel=1e-4)
    assert np.flatnonzero(values).tolist() == [0, 32]
