"""The part of the graphs that gathers and sums, for each kind of table."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from portvec_export._graph import int4 as _onnx_int4
from portvec_export._table.table import Table


def total(
    table: Table, ids: str, *, by_position: bool = False, count: str | None = None
) -> list[onnx.NodeProto]:
    """Ids (batch, length), or (length, batch) if `by_position`, -> total (batch, dim).

    `count` is needed where the length may be zero.
    """
    is_float = table.row_weights is None and table.block_weights is None
    nodes = []
    if by_position != is_float:
        nodes.append(helper.make_node("Transpose", [ids], ["transposed_ids"], perm=[1, 0]))
        ids = "transposed_ids"
    rows = ids
    if table.mapping is not None:
        nodes.append(helper.make_node("Gather", ["mapping", ids], ["rows"]))
        rows = "rows"
    if is_float:
        return [*nodes, *_float_total(table, ids, rows)]
    if table.row_weights is not None:
        return [*nodes, *_integer_total(rows, count)]
    return [*nodes, *_int4_total(rows, count)]


def _integer_total(rows: str, count: str | None) -> list[onnx.NodeProto]:
    """Rows (batch, length) -> total, exact in int32: row weights times values, without widening the rows."""
    nodes = [
        helper.make_node("Gather", ["vectors", rows], ["values"]),
        helper.make_node("Gather", ["row_weights", rows], ["row_weights_of_tokens"]),
        helper.make_node("Unsqueeze", ["row_weights_of_tokens", "axis_1"], ["left"]),
        helper.make_node("MatMulInteger", ["left", "values"], ["integer_sums"]),
        helper.make_node("Squeeze", ["integer_sums", "axis_1"], ["integers"]),
        helper.make_node("Cast", ["integers"], ["units"], to=TensorProto.FLOAT),
    ]
    if count is None:
        return [*nodes, helper.make_node("Mul", ["units", "unit"], ["total"])]
    return [
        *nodes,
        # Over no position at all, onnxruntime's MatMulInteger leaves its output as it found it.
        helper.make_node("Min", [count, "one"], ["is_any"]),
        helper.make_node("Mul", ["is_any", "unit"], ["unit_or_zero"]),
        helper.make_node("Mul", ["units", "unit_or_zero"], ["total"]),
    ]


def _float_total(table: Table, ids: str, rows: str) -> list[onnx.NodeProto]:
    """Ids and rows (length, batch) -> total, the rows added one position after the other."""
    nodes = []
    if table.scales is not None:
        nodes += _onnx_int4.unpacked(rows)
        vectors = "unpacked"
    else:
        nodes.append(helper.make_node("Gather", ["vectors", rows], ["gathered"]))
        vectors = "gathered"
        if table.vectors.dtype != np.float32:  # widened after the gather: only what is used
            nodes.append(helper.make_node("Cast", [vectors], ["widened"], to=TensorProto.FLOAT))
            vectors = "widened"
    if table.weights is not None:
        nodes += [
            helper.make_node("Gather", ["weights", ids], ["token_weights"]),
            helper.make_node("Unsqueeze", ["token_weights", "axis_2"], ["weight_columns"]),
            helper.make_node("Mul", [vectors, "weight_columns"], ["weighted"]),
        ]
        vectors = "weighted"
    if table.scales is None:
        return [*nodes, helper.make_node("ReduceSum", [vectors, "axis_0"], ["total"], keepdims=0)]
    return [
        *nodes,
        helper.make_node("ReduceSum", [vectors, "axis_0"], ["padded"], keepdims=0),
        helper.make_node("Slice", ["padded", "start", "dim", "axis_1"], ["units"]),
        helper.make_node("Mul", ["units", "unit"], ["total"]),
    ]


def _int4_total(rows: str, count: str | None) -> list[onnx.NodeProto]:
    """Rows (batch, length) -> total, of int4 with whole block weights."""
    return [
        *_onnx_int4.integer_sums(rows, count),
        helper.make_node("Slice", ["padded", "start", "dim", "axis_1"], ["total"]),
    ]
