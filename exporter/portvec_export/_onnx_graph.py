"""The graph: token ids to embeddings in standard ONNX operators. Pure functions of their arguments.

    dropped = attention_mask == 0 or input_ids == unk      those tokens take the extra zero row
    mean    = sum of the rows / max(number of tokens not dropped, 1)
    output  = mean / (norm of mean + 1e-32) if the model normalizes, as in model2vec 0.10
    logits  = layers of a pipeline's head, with ReLU between them

Dropping ids costs less than multiplying (batch, length, dim) by a mask, and adds exact zeros. The
sum runs over the first axis, after a transposition of the ids: there onnxruntime adds one position
after the other, which is model2vec's order, so that both round alike. (Over the middle axis it
regroups, which is closer to the real sum but up to 3e-6 from model2vec's on repetitive long texts.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from portvec import _format as fmt
from portvec._manifest import Head
from portvec_export import _onnx_int4
from portvec_export._table import Table

# What the oldest consumer in use reads (Transformers.js 2 reads IR 8; opset 14 needs IR 7).
IR_VERSION = 8
OPSET = 14


def build_model(
    table: Table,
    *,
    unk_id: int | None,
    normalize: bool,
    head: Head | None,
    layers: int,
    initializers: list[TensorProto],
    last_hidden_state: bool = True,
) -> onnx.ModelProto:
    """Return the model; `initializers` are the protos of its large tensors, inline or external.

    With a head of so many linear layers, its outputs take the place of last_hidden_state.
    """
    dim = table.dim
    if table.row_weights is not None:
        summed = _integer_total(table)
    elif table.block_weights is not None:
        summed = _int4_total(table)
    else:
        summed = _float_total(table)
    nodes = [*_rows(unk_id), *_count(), *summed, *_mean(), *_embedding(normalize)]
    embedding = _tensor(fmt.SENTENCE_EMBEDDING, TensorProto.FLOAT, dim)
    outputs = [embedding]
    if head is None and last_hidden_state:
        nodes += _last_hidden_state()
        outputs = [_tensor(fmt.LAST_HIDDEN_STATE, TensorProto.FLOAT, "sequence_length", dim), embedding]
    elif head is not None:
        nodes += _head(head, layers)
        names = (fmt.LOGITS, _activated(head))
        outputs = [*(_tensor(name, TensorProto.FLOAT, head.outputs) for name in names), embedding]
    graph = helper.make_graph(
        nodes,
        "static_embedding",
        [
            _tensor(fmt.INPUT_IDS, TensorProto.INT64, "sequence_length"),
            _tensor(fmt.ATTENTION_MASK, TensorProto.INT64, "sequence_length"),
        ],
        outputs,
        [*initializers, *_constants(nodes, table, unk_id)],
    )
    return helper.make_model(
        graph,
        producer_name=fmt.FORMAT_NAME,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )


def _tensor(name: str, kind: int, *axes: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, ["batch_size", *axes])


def _constants(nodes: list[onnx.NodeProto], table: Table, unk_id: int | None) -> list[TensorProto]:
    values: dict[str, npt.NDArray[Any]] = {
        "zero_id": np.array(table.zero_id, dtype=np.int64),
        "unk_id": np.array(-1 if unk_id is None else unk_id, dtype=np.int64),
        "masked": np.array(0, dtype=np.int64),
        "axis_0": np.array([0], dtype=np.int64),
        "axis_1": np.array([1], dtype=np.int64),
        "axis_2": np.array([2], dtype=np.int64),
        "one": np.array(1.0, dtype=np.float32),
        "epsilon": np.array(1e-32, dtype=np.float32),
        "one_row": np.array([1], dtype=np.int64),
        "unit": np.array(table.unit, dtype=np.float32),
        "axis_3": np.array([3], dtype=np.int64),
        "start": np.array([0], dtype=np.int64),
        "dim": np.array([table.dim], dtype=np.int64),
        **_onnx_int4.constants(table),
    }
    used = {name for node in nodes for name in node.input}
    return [numpy_helper.from_array(value, name) for name, value in values.items() if name in used]


def _rows(unk_id: int | None) -> list[onnx.NodeProto]:
    """input_ids, attention_mask -> dropped and ids (batch, length)."""
    masked = "dropped" if unk_id is None else "is_masked"
    nodes = [helper.make_node("Equal", [fmt.ATTENTION_MASK, "masked"], [masked])]
    if unk_id is not None:
        nodes += [
            helper.make_node("Equal", [fmt.INPUT_IDS, "unk_id"], ["is_unknown"]),
            helper.make_node("Or", [masked, "is_unknown"], ["dropped"]),
        ]
    return [
        *nodes,
        helper.make_node("Where", ["dropped", "zero_id", fmt.INPUT_IDS], ["ids"]),
    ]


def _integer_total(table: Table) -> list[onnx.NodeProto]:
    """Ids -> total (batch, dim), exact in int32: row weights times values, without widening the rows."""
    nodes = []
    rows = "ids"
    if table.mapping is not None:
        nodes.append(helper.make_node("Gather", ["mapping", rows], ["rows"]))
        rows = "rows"
    return [
        *nodes,
        helper.make_node("Gather", ["vectors", rows], ["values"]),
        helper.make_node("Gather", ["row_weights", rows], ["row_weights_of_tokens"]),
        helper.make_node("Unsqueeze", ["row_weights_of_tokens", "axis_1"], ["left"]),
        helper.make_node("MatMulInteger", ["left", "values"], ["integer_sums"]),
        helper.make_node("Squeeze", ["integer_sums", "axis_1"], ["integers"]),
        helper.make_node("Cast", ["integers"], ["units"], to=TensorProto.FLOAT),
        # Over no position at all, onnxruntime's MatMulInteger leaves its output as it found it.
        helper.make_node("Min", ["count", "one"], ["is_any"]),
        helper.make_node("Mul", ["is_any", "unit"], ["unit_or_zero"]),
        helper.make_node("Mul", ["units", "unit_or_zero"], ["total"]),
    ]


def _float_total(table: Table) -> list[onnx.NodeProto]:
    """Ids -> total (batch, dim), the rows added one position after the other."""
    nodes = [helper.make_node("Transpose", ["ids"], ["ids_by_position"], perm=[1, 0])]
    rows = "ids_by_position"
    if table.mapping is not None:
        nodes.append(helper.make_node("Gather", ["mapping", rows], ["rows"]))
        rows = "rows"
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
            helper.make_node("Gather", ["weights", "ids_by_position"], ["token_weights"]),
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


def _int4_total(table: Table) -> list[onnx.NodeProto]:
    """Ids -> total (batch, dim) of int4 with whole block weights."""
    nodes = []
    rows = "ids"
    if table.mapping is not None:
        nodes.append(helper.make_node("Gather", ["mapping", rows], ["rows"]))
        rows = "rows"
    return [
        *nodes,
        *_onnx_int4.integer_sums(rows),
        helper.make_node("Slice", ["padded", "start", "dim", "axis_1"], ["total"]),
    ]


def _count() -> list[onnx.NodeProto]:
    """Dropped -> count (batch, 1) of the tokens that are not."""
    return [
        helper.make_node("Not", ["dropped"], ["is_kept"]),
        helper.make_node("Cast", ["is_kept"], ["kept"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["kept", "axis_1"], ["count"], keepdims=1),
    ]


def _mean() -> list[onnx.NodeProto]:
    """total, count -> mean (batch, dim)."""
    return [
        helper.make_node("Max", ["count", "one"], ["divisor"]),
        helper.make_node("Div", ["total", "divisor"], ["mean"]),
    ]


def _embedding(normalize: bool) -> list[onnx.NodeProto]:
    """Mean -> sentence_embedding (batch, dim)."""
    if not normalize:
        return [helper.make_node("Identity", ["mean"], [fmt.SENTENCE_EMBEDDING])]
    return [
        helper.make_node("ReduceL2", ["mean"], ["norm"], axes=[1], keepdims=1),
        helper.make_node("Add", ["norm", "epsilon"], ["positive_norm"]),
        helper.make_node("Div", ["mean", "positive_norm"], [fmt.SENTENCE_EMBEDDING]),
    ]


def _last_hidden_state() -> list[onnx.NodeProto]:
    """Repeat sentence_embedding at every position: any pooling of it is right."""
    return [
        helper.make_node("Unsqueeze", [fmt.SENTENCE_EMBEDDING, "axis_1"], ["one_position"]),
        helper.make_node("Shape", [fmt.INPUT_IDS], ["input_shape"]),
        helper.make_node("Concat", ["input_shape", "one_row"], ["output_shape"], axis=0),
        helper.make_node("Expand", ["one_position", "output_shape"], [fmt.LAST_HIDDEN_STATE]),
    ]


def _head(head: Head, layers: int) -> list[onnx.NodeProto]:
    """sentence_embedding -> logits (batch, outputs) and what the activation makes of them."""
    nodes = []
    value = fmt.SENTENCE_EMBEDDING
    for index in range(layers):
        if index:
            nodes.append(helper.make_node("Relu", [value], [f"hidden_{index}"]))
            value = f"hidden_{index}"
        tensors = [f"head.{index}.weight", f"head.{index}.bias"]
        nodes.append(helper.make_node("Gemm", [value, *tensors], [f"layer_{index}"], transB=1))
        value = f"layer_{index}"
    nodes.append(helper.make_node("Identity", [value], [fmt.LOGITS]))
    operator = {"softmax": "Softmax", "sigmoid": "Sigmoid", "identity": "Identity"}[head.activation]
    return [*nodes, helper.make_node(operator, [fmt.LOGITS], [_activated(head)])]


def _activated(head: Head) -> str:
    return fmt.PREDICTIONS if head.activation == "identity" else fmt.PROBABILITIES
