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
GRAPH_DATA: Final = "onnx/model.onnx_data"
# The same computation as the runtime feeds it, without last_hidden_state: for many blocks at a time, laid out
# for the sum, and for a single text. Not named .onnx, so that consumers that look for graphs find one.
RUNTIME_GRAPH: Final = "portvec.graph"
SINGLE_GRAPH: Final = "portvec.single.graph"
TOKEN_IDS: Final = "token_ids"
BLOCK_BOUNDS: Final = "block_bounds"
TOKEN_COUNTS: Final = "token_counts"
# Graphs of further types, as Transformers.js looks for its dtypes fp16, q8 and q4; float32 is GRAPH there.
VARIANT_GRAPHS: Final = {
    "float16": "onnx/model_fp16.onnx",
    "int8": "onnx/model_quantized.onnx",
    "int4": "onnx/model_q4.onnx",
}
# What Transformers.js expects external data to be called: the graph's name and this.
DATA_SUFFIX: Final = "_data"

INPUT_IDS: Final = "input_ids"
ATTENTION_MASK: Final = "attention_mask"
TOKEN_TYPE_IDS: Final = "token_type_ids"
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
