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

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from portvec import _format as fmt
from portvec._manifest import Head

# What the oldest consumer in use reads (Transformers.js 2 reads IR 8; opset 14 needs IR 7).
IR_VERSION = 8
OPSET = 14


@dataclass(frozen=True)
class Table:
    """The tensors that grow with the vocabulary of V token ids.

    Attributes:
        vectors: float32 or float16 (rows + 1, dim), the last row zero.
        mapping: int64 (V + 1,), row of each token id, the last one the zero row; None if id = row.
        weights: float32 (V + 1,), factor of each token id; None if all are 1.
    """

    vectors: npt.NDArray[Any]
    mapping: npt.NDArray[np.int64] | None
    weights: npt.NDArray[np.float32] | None

    @property
    def zero_id(self) -> int:
        """The id past the vocabulary, whose row is zero."""
        return len(self.vectors if self.mapping is None else self.mapping) - 1

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return the tensors by their names in the graph."""
        named = {"vectors": self.vectors, "mapping": self.mapping, "weights": self.weights}
        return {name: tensor for name, tensor in named.items() if tensor is not None}


def build_model(
    table: Table,
    *,
    unk_id: int | None,
    normalize: bool,
    head: Head | None,
    layers: int,
    initializers: list[TensorProto],
) -> onnx.ModelProto:
    """Return the model; `initializers` are the protos of its large tensors, inline or external.

    With a head of so many linear layers, its outputs take the place of last_hidden_state.
    """
    dim = table.vectors.shape[1]
    nodes = [*_rows(unk_id), *_vectors(table), *_mean(), *_embedding(normalize)]
    embedding = _tensor(fmt.SENTENCE_EMBEDDING, TensorProto.FLOAT, dim)
    if head is None:
        nodes += _last_hidden_state()
        outputs = [_tensor(fmt.LAST_HIDDEN_STATE, TensorProto.FLOAT, "sequence_length", dim), embedding]
    else:
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
        [*initializers, *_constants(nodes, table.zero_id, unk_id, dim)],
    )
    return helper.make_model(
        graph,
        producer_name=fmt.FORMAT_NAME,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )


def _tensor(name: str, kind: int, *axes: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, ["batch_size", *axes])


def _constants(nodes: list[onnx.NodeProto], zero_id: int, unk_id: int | None, dim: int) -> list[TensorProto]:
    values: dict[str, npt.NDArray[Any]] = {
        "zero_id": np.array(zero_id, dtype=np.int64),
        "unk_id": np.array(-1 if unk_id is None else unk_id, dtype=np.int64),
        "masked": np.array(0, dtype=np.int64),
        "axis_0": np.array([0], dtype=np.int64),
        "axis_1": np.array([1], dtype=np.int64),
        "axis_2": np.array([2], dtype=np.int64),
        "one": np.array(1.0, dtype=np.float32),
        "epsilon": np.array(1e-32, dtype=np.float32),
        "one_row": np.array([1], dtype=np.int64),
    }
    used = {name for node in nodes for name in node.input}
    return [numpy_helper.from_array(value, name) for name, value in values.items() if name in used]


def _rows(unk_id: int | None) -> list[onnx.NodeProto]:
    """input_ids, attention_mask -> dropped (batch, length), ids_by_position (length, batch)."""
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
        helper.make_node("Transpose", ["ids"], ["ids_by_position"], perm=[1, 0]),
    ]


def _vectors(table: Table) -> list[onnx.NodeProto]:
    """ids_by_position -> token_vectors float32 (length, batch, dim)."""
    nodes = []
    rows = "ids_by_position"
    if table.mapping is not None:
        nodes.append(helper.make_node("Gather", ["mapping", rows], ["rows"]))
        rows = "rows"
    steps = ["gathered"]
    nodes.append(helper.make_node("Gather", ["vectors", rows], ["gathered"]))
    if table.vectors.dtype != np.float32:  # widened after the gather: only what is used
        nodes.append(helper.make_node("Cast", [steps[-1]], ["widened"], to=TensorProto.FLOAT))
        steps.append("widened")
    if table.weights is not None:
        nodes += [
            helper.make_node("Gather", ["weights", "ids_by_position"], ["token_weights"]),
            helper.make_node("Unsqueeze", ["token_weights", "axis_2"], ["weight_columns"]),
            helper.make_node("Mul", [steps[-1], "weight_columns"], ["weighted"]),
        ]
        steps.append("weighted")
    nodes[-1].output[0] = "token_vectors"
    return nodes


def _mean() -> list[onnx.NodeProto]:
    """token_vectors, dropped -> mean (batch, dim)."""
    return [
        helper.make_node("ReduceSum", ["token_vectors", "axis_0"], ["total"], keepdims=0),
        helper.make_node("Not", ["dropped"], ["is_kept"]),
        helper.make_node("Cast", ["is_kept"], ["kept"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["kept", "axis_1"], ["count"], keepdims=1),
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
