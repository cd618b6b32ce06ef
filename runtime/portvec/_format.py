"""Names that both sides of the artifact agree on. docs/format.md is their normative description."""

from __future__ import annotations

from typing import Final, Literal, get_args

FORMAT_NAME: Final = "portvec"
FORMAT_VERSION: Final = 1

MANIFEST: Final = "portvec.json"
# Not listed in the manifest: people edit it, on the Hub's web page too, and the artifact stays whole.
CARD: Final = "README.md"
CONFORMANCE: Final = "conformance.json"
TOKENIZER: Final = "tokenizer.json"
GRAPH: Final = "onnx/model.onnx"
# The name that Transformers.js expects beside onnx/model.onnx.
GRAPH_DATA: Final = "onnx/model.onnx_data"
# The same graph without last_hidden_state, over the same data: onnxruntime 1.32 computes every output of a
# graph, asked for or not (RunOptions.only_execute_path_to_fetches changes nothing): 430 instead of 316
# microseconds for 64 texts of 32 tokens. Not named .onnx, so that consumers that look for graphs find one.
RUNTIME_GRAPH: Final = "portvec.graph"

INPUT_IDS: Final = "input_ids"
ATTENTION_MASK: Final = "attention_mask"
LAST_HIDDEN_STATE: Final = "last_hidden_state"
SENTENCE_EMBEDDING: Final = "sentence_embedding"
# Of the artifact of a pipeline, besides SENTENCE_EMBEDDING:
LOGITS: Final = "logits"
PROBABILITIES: Final = "probabilities"
PREDICTIONS: Final = "predictions"

Activation = Literal["softmax", "sigmoid", "identity"]
ACTIVATIONS: Final[tuple[str, ...]] = get_args(Activation)

Dtype = Literal["float32", "float16", "int8", "int4"]
DTYPES: Final[tuple[str, ...]] = get_args(Dtype)

# An embedding may differ from the recorded one by this much of its norm, in any component. float32
# rounding alone gives a few 1e-7: dimensions summed for the norm in another order, fused multiply-add.
TOLERANCE: Final = 1e-6
# Logits are sums of products in whatever order a matrix multiplication takes them.
LOGITS_TOLERANCE: Final = 1e-5
