"""Names that the exporter and the runtime share. docs/format.md is their normative description."""

from __future__ import annotations

from typing import Final

FORMAT_NAME: Final = "portvec"
# The newest version. An artifact has the lowest that describes it, so that older readers keep reading.
FORMAT_VERSION: Final = 2

MANIFEST: Final = "portvec.json"
# The manifest does not list the model card, so people can edit it, for example on the Hub's web page.
CARD: Final = "README.md"
CONFORMANCE: Final = "conformance.json"
TOKENIZER: Final = "tokenizer.json"
# The same tokenizer, so that its vocabulary can be searched where it lies in the file.
VOCABULARY: Final = "portvec.vocabulary"
GRAPH: Final = "onnx/model.onnx"
# The runtime's own graph computes the same without last_hidden_state, for many tiles at a time. It is not
# named .onnx, so that consumers that look for graphs find only model.onnx.
RUNTIME_GRAPH: Final = "portvec.graph"
TOKEN_IDS: Final = "token_ids"
TILE_BOUNDS: Final = "block_bounds"
TOKEN_COUNTS: Final = "token_counts"
# Graphs that have the tokenizer in them, by what they take as texts.
STRINGS: Final = "strings"
CODE_POINTS: Final = "codepoints"
TEXT_GRAPHS: Final = {STRINGS: "onnx/model_text.onnx", CODE_POINTS: "onnx/model_codepoints.onnx"}
# The input of each.
TEXT_INPUTS: Final = {STRINGS: "text", CODE_POINTS: "codepoints"}
# What stands for no token, and for no character, behind the end of a text.
TEXT_PADDING: Final = -1

# Tensors of a graph: the table, and what its rows are multiplied by.
VECTORS: Final = "vectors"
MAPPING: Final = "mapping"
WEIGHTS: Final = "weights"
ROW_WEIGHTS: Final = "row_weights"
BLOCK_WEIGHTS: Final = "block_weights"
SCALES: Final = "scales"
SCALE: Final = "scale"

INPUT_IDS: Final = "input_ids"
ATTENTION_MASK: Final = "attention_mask"
TOKEN_TYPE_IDS: Final = "token_type_ids"
LAST_HIDDEN_STATE: Final = "last_hidden_state"
SENTENCE_EMBEDDING: Final = "sentence_embedding"
# Outputs of a classifier or regressor, besides SENTENCE_EMBEDDING:
LOGITS: Final = "logits"
PROBABILITIES: Final = "probabilities"
PREDICTIONS: Final = "predictions"

# Prompts that every model has in sentence-transformers.
QUERY: Final = "query"
DOCUMENT: Final = "document"

# Library whose rules an artifact follows, if they are not those of model2vec.
SENTENCE_TRANSFORMERS: Final = "sentence-transformers"

# The output of a head after its activation, by that activation.
HEAD_OUTPUTS: Final = {"softmax": PROBABILITIES, "sigmoid": PROBABILITIES, "identity": PREDICTIONS}
ACTIVATIONS: Final = tuple(HEAD_OUTPUTS)
# Types of the layers after the mean, and the activations of those that are dense.
LAYERS: Final = ("dense", "unit_length", "dynamic_tanh")
LAYER_ACTIVATIONS: Final = ("identity", "relu", "tanh", "sigmoid", "gelu")

# A component of an embedding may differ from the recorded one by this much of the norm. float32 rounding
# alone gives a few 1e-7: a device may sum in another order or fuse multiplication and addition.
TOLERANCE: Final = 1e-6
# Logits, and embeddings after dense layers, may differ more: each device chooses the order in which a matrix
# multiplication sums.
DENSE_TOLERANCE: Final = 1e-5


def data_of(graph: str) -> str:
    """Return the path of a graph's external data, which is where Transformers.js looks for it."""
    return f"{graph}_data"


def conformance_of(dtype: str) -> str:
    """Return the path of the recorded texts of a variant."""
    return f"conformance.{dtype}.json"
