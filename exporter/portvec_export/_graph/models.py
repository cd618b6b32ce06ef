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

from portvec._artifact import format as fmt
from portvec._artifact.manifest import Head
from portvec_export._graph import int4 as _onnx_int4
from portvec_export._graph.total import total
from portvec_export._source.head import HeadLayers
from portvec_export._table.table import Table

# What the oldest consumer in use reads (Transformers.js 2 reads IR 8; opset 14 needs IR 7).
IR_VERSION = 8
OPSET = 14


def build_model(
    table: Table,
    *,
    unk_id: int | None,
    normalize: bool,
    head: HeadLayers | None,
    initializers: list[TensorProto],
    token_type_ids: bool = False,
    positions: int | None = None,
) -> onnx.ModelProto:
    """Return the model for every consumer; `initializers` are the protos of its large tensors.

    With a head, its outputs take the place of last_hidden_state. `token_type_ids` declares that input as
    well, for consumers that always feed it: without effect, and optional, as it has a default. Positions
    beyond the first `positions` are ignored.
    """
    embedding = _tensor(fmt.SENTENCE_EMBEDDING, TensorProto.FLOAT, "batch_size", table.dim)
    nodes = [
        *_ids(unk_id, positions),
        *_count(),
        *total(table, "ids", count="count"),
        *_embedding(normalize),
    ]
    if head is None:
        nodes += _last_hidden_state()
        shape = ("batch_size", "sequence_length", table.dim)
        outputs = [_tensor(fmt.LAST_HIDDEN_STATE, TensorProto.FLOAT, *shape), embedding]
    else:
        nodes += [*_logits(head), _activation(head.head)]
        names = (fmt.LOGITS, _activated(head.head))
        outputs = [
            *(_tensor(name, TensorProto.FLOAT, "batch_size", head.head.outputs) for name in names),
            embedding,
        ]
    input_names = [fmt.INPUT_IDS, fmt.ATTENTION_MASK]
    if token_type_ids:
        input_names.append(fmt.TOKEN_TYPE_IDS)
        default = numpy_helper.from_array(np.zeros((1, 1), np.int64), fmt.TOKEN_TYPE_IDS)
        initializers = [*initializers, default]
    inputs = [_tensor(name, TensorProto.INT64, "batch_size", "sequence_length") for name in input_names]
    constants = _constants(nodes, table, unk_id, positions)
    return _model(nodes, inputs, outputs, [*initializers, *constants])


def build_runtime_model(
    table: Table,
    *,
    normalize: bool,
    head: HeadLayers | None,
    initializers: list[TensorProto],
) -> onnx.ModelProto:
    """Return the model to which the runtime feeds whole groups of blocks.

    A Scan goes over the blocks, so that the rows gathered for one are still in the processor's cache when
    they are summed.
    """
    pool_block = helper.make_graph(
        [
            helper.make_node("Split", ["bounds"], ["first", "last"], axis=0),
            helper.make_node("Slice", [fmt.TOKEN_IDS, "first", "last", "axis_0"], ["block_ids"]),
            *total(table, "block_ids", by_position=True),
        ],
        "pool_block",
        [_tensor("bounds", TensorProto.INT64, 2)],
        [_tensor("total", TensorProto.FLOAT, "texts", table.dim)],
    )
    scan = helper.make_node("Scan", [fmt.BLOCK_BOUNDS], ["totals"], body=pool_block, num_scan_inputs=1)
    nodes = [scan, helper.make_node("Reshape", ["totals", "flat_shape"], ["total"])]
    bounds = _tensor(fmt.BLOCK_BOUNDS, TensorProto.INT64, "blocks", 2)
    return _own_model(nodes, list(pool_block.node), [bounds], table, normalize, head, initializers)


def build_single_model(
    table: Table,
    *,
    normalize: bool,
    head: HeadLayers | None,
    initializers: list[TensorProto],
) -> onnx.ModelProto:
    """Return the model to which the runtime feeds single texts: a Scan would cost half as much again."""
    nodes = total(table, fmt.TOKEN_IDS, by_position=True)
    return _own_model(nodes, [], [], table, normalize, head, initializers)


def _own_model(
    nodes: list[onnx.NodeProto],
    inner: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    table: Table,
    normalize: bool,
    head: HeadLayers | None,
    initializers: list[TensorProto],
) -> onnx.ModelProto:
    """Complete a model for the runtime, whose `nodes` (with `inner` in a subgraph) compute the total.

    Its token ids hold no UNK, are padded with the id of the zero row, and lie as they are summed. Counts of
    tokens are an input only where they matter: unit vectors are the same for sum and mean.
    """
    inputs = [_tensor(fmt.TOKEN_IDS, TensorProto.INT32, "positions", "texts"), *inputs]
    if normalize:
        nodes = [*nodes, *_normalized("total")]
    else:
        nodes = [*nodes, helper.make_node("Div", ["total", fmt.TOKEN_COUNTS], [fmt.SENTENCE_EMBEDDING])]
        inputs.append(_tensor(fmt.TOKEN_COUNTS, TensorProto.FLOAT, "columns", 1))
    outputs = [_tensor(fmt.SENTENCE_EMBEDDING, TensorProto.FLOAT, "columns", table.dim)]
    if head is not None:
        nodes += _logits(head)
        outputs.append(_tensor(fmt.LOGITS, TensorProto.FLOAT, "columns", head.head.outputs))
    return _model(nodes, inputs, outputs, [*initializers, *_constants([*nodes, *inner], table)])


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    initializers: list[TensorProto],
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "static_embedding", inputs, outputs, initializers)
    return helper.make_model(
        graph,
        producer_name=fmt.FORMAT_NAME,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )


def _tensor(name: str, kind: int, *axes: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, axes)


def _constants(
    nodes: list[onnx.NodeProto], table: Table, unk_id: int | None = None, positions: int | None = None
) -> list[TensorProto]:
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
        "flat_shape": np.array([-1, table.dim], dtype=np.int64),
        "axis_3": np.array([3], dtype=np.int64),
        "limit": np.array([positions or 0], dtype=np.int64),
        "start": np.array([0], dtype=np.int64),
        "dim": np.array([table.dim], dtype=np.int64),
        **_onnx_int4.constants(table),
    }
    used = {name for node in nodes for name in node.input}
    return [numpy_helper.from_array(value, name) for name, value in values.items() if name in used]


def _ids(unk_id: int | None, positions: int | None) -> list[onnx.NodeProto]:
    """input_ids, attention_mask -> dropped and ids (batch, length)."""
    given, mask = fmt.INPUT_IDS, fmt.ATTENTION_MASK
    nodes = []
    if positions is not None:
        first = {given: "first_ids", mask: "first_mask"}
        nodes = [
            helper.make_node("Slice", [name, "start", "limit", "axis_1"], [cut])
            for name, cut in first.items()
        ]
        given, mask = first.values()
    masked = "dropped" if unk_id is None else "is_masked"
    nodes.append(helper.make_node("Equal", [mask, "masked"], [masked]))
    if unk_id is not None:
        nodes += [
            helper.make_node("Equal", [given, "unk_id"], ["is_unknown"]),
            helper.make_node("Or", [masked, "is_unknown"], ["dropped"]),
        ]
    return [
        *nodes,
        helper.make_node("Where", ["dropped", "zero_id", given], ["ids"]),
    ]


def _count() -> list[onnx.NodeProto]:
    """Dropped -> count (batch, 1) of the tokens that are not."""
    return [
        helper.make_node("Not", ["dropped"], ["is_kept"]),
        helper.make_node("Cast", ["is_kept"], ["kept"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["kept", "axis_1"], ["count"], keepdims=1),
    ]


def _embedding(normalize: bool) -> list[onnx.NodeProto]:
    """total, count (batch, 1) -> sentence_embedding (batch, dim)."""
    mean = "mean" if normalize else fmt.SENTENCE_EMBEDDING
    nodes = [
        helper.make_node("Max", ["count", "one"], ["divisor"]),
        helper.make_node("Div", ["total", "divisor"], [mean]),
    ]
    return nodes + (_normalized("mean") if normalize else [])


def _normalized(vectors: str) -> list[onnx.NodeProto]:
    """Vectors (batch, dim) -> sentence_embedding of unit length, or zero."""
    return [
        # ReduceL2 of onnxruntime is off by three times as much: it adds the squares one after the other.
        helper.make_node("Mul", [vectors, vectors], ["squares"]),
        helper.make_node("ReduceSum", ["squares", "axis_1"], ["squared_norm"], keepdims=1),
        helper.make_node("Sqrt", ["squared_norm"], ["norm"]),
        helper.make_node("Add", ["norm", "epsilon"], ["positive_norm"]),
        helper.make_node("Div", [vectors, "positive_norm"], [fmt.SENTENCE_EMBEDDING]),
    ]


def _last_hidden_state() -> list[onnx.NodeProto]:
    """Repeat sentence_embedding at every position: any pooling of it is right."""
    return [
        helper.make_node("Unsqueeze", [fmt.SENTENCE_EMBEDDING, "axis_1"], ["one_position"]),
        helper.make_node("Shape", [fmt.INPUT_IDS], ["input_shape"]),
        helper.make_node("Concat", ["input_shape", "one_row"], ["output_shape"], axis=0),
        helper.make_node("Expand", ["one_position", "output_shape"], [fmt.LAST_HIDDEN_STATE]),
    ]


def _logits(head: HeadLayers) -> list[onnx.NodeProto]:
    """sentence_embedding -> logits (batch, outputs)."""
    nodes = []
    value = fmt.SENTENCE_EMBEDDING
    for index in range(len(head.layers)):
        if index:
            nodes.append(helper.make_node("Relu", [value], [f"hidden_{index}"]))
            value = f"hidden_{index}"
        tensors = [f"head.{index}.weight", f"head.{index}.bias"]
        nodes.append(helper.make_node("Gemm", [value, *tensors], [f"layer_{index}"], transB=1))
        value = f"layer_{index}"
    return [*nodes, helper.make_node("Identity", [value], [fmt.LOGITS])]


def _activation(head: Head) -> onnx.NodeProto:
    """Logits -> probabilities or predictions (batch, outputs)."""
    operator = {"softmax": "Softmax", "sigmoid": "Sigmoid", "identity": "Identity"}[head.activation]
    return helper.make_node(operator, [fmt.LOGITS], [_activated(head)])


def _activated(head: Head) -> str:
    return fmt.PREDICTIONS if head.activation == "identity" else fmt.PROBABILITIES
