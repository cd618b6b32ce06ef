"""The consumers of an artifact: which script to run, in which environment, and what it must return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Variant:
    """A dtype, its name in Transformers.js, and the file of its graph."""

    dtype: str
    js: str
    graph: str


VARIANTS = [
    Variant("float32", "fp32", "model.onnx"),
    Variant("float16", "fp16", "model_fp16.onnx"),
    Variant("int8", "q8", "model_quantized.onnx"),
    Variant("int4", "q4", "model_q4.onnx"),
]


@dataclass(frozen=True)
class Consumer:
    """A row of the table.

    Attributes:
        name: the consumer.
        package: its name in its registry.
        environment: folder of its environment; with node_modules if the script is JavaScript.
        script: in tests/consumers.
        called: the function or class that is called, for the table.
        runs: for each call, the dtype whose vectors it must return, and its options.
        folder: the artifact to call it with.
        zero_is_nan: whether it divides by the norm, so that texts without tokens come out as NaN.
    """

    name: str
    package: str
    environment: str
    script: str
    called: str
    runs: list[tuple[str, dict[str, Any]]]
    folder: str = "artifact"
    zero_is_nan: bool = False


_MAIN: list[tuple[str, dict[str, Any]]] = [("float32", {})]
_GRAPHS: list[tuple[str, dict[str, Any]]] = [(one.dtype, {"graph": one.graph}) for one in VARIANTS]
_FILES = "model.onnx, _fp16, _quantized, _q4"
_HUGGINGFACE = "@huggingface/transformers"


def _transformers_js(major: int) -> list[Consumer]:
    name, environment = f"Transformers.js {major}", f"node-{major}"
    pipelines = [
        Consumer(
            name,
            _HUGGINGFACE,
            environment,
            "transformers_js_pipeline.mjs",
            f"pipeline, {one.js}; mean, cls, none",
            [(one.dtype, {"dtype": one.js, "pooling": pooling}) for pooling in ("mean", "cls", "none")],
        )
        for one in VARIANTS
    ]
    return [
        *pipelines,
        Consumer(
            name,
            _HUGGINGFACE,
            environment,
            "transformers_js_model.mjs",
            "AutoTokenizer, AutoModel; fp32, fp16, q8, q4",
            [(one.dtype, {"dtype": one.js}) for one in VARIANTS],
        ),
    ]


CONSUMERS = [
    *_transformers_js(4),
    *_transformers_js(3),
    Consumer(
        "onnxruntime-node",
        "onnxruntime-node",
        "node-4",
        "onnxruntime_node.mjs",
        f"InferenceSession; {_FILES}",
        _GRAPHS,
    ),
    Consumer(
        "onnxruntime-web",
        "onnxruntime-web",
        "node-4",
        "onnxruntime_web.mjs",
        f"InferenceSession, wasm; {_FILES}",
        _GRAPHS,
    ),
    Consumer(
        "sentence-transformers",
        "sentence-transformers",
        "torch",
        "sentence_transformers_onnx.py",
        f'backend="onnx"; {_FILES}',
        _GRAPHS,
    ),
    Consumer(
        "Optimum",
        "optimum-onnx",
        "torch",
        "optimum_onnx.py",
        f"ORTModelForFeatureExtraction; {_FILES}",
        _GRAPHS,
    ),
    Consumer(
        "txtai",
        "txtai",
        "torch",
        "txtai_onnx.py",
        'method="sentence-transformers", ONNX',
        _MAIN,
        zero_is_nan=True,
    ),
    Consumer(
        "fastembed",
        "fastembed",
        "light",
        "fastembed_custom.py",
        f"add_custom_model; mean, cls; {_FILES}",
        [
            (one.dtype, {"graph": one.graph, "pooling": pooling})
            for one in VARIANTS
            for pooling in ("MEAN", "CLS")
        ],
    ),
    Consumer(
        "onnxruntime, transformers",
        "transformers",
        "light",
        "onnxruntime_transformers.py",
        f"AutoTokenizer, InferenceSession; {_FILES}",
        _GRAPHS,
    ),
    Consumer(
        "onnxruntime, tokenizers",
        "tokenizers",
        "light",
        "onnxruntime_tokenizers.py",
        f"Tokenizer, InferenceSession; {_FILES}",
        _GRAPHS,
    ),
    Consumer(
        "Chroma",
        "chromadb",
        "light",
        "chroma_onnx.py",
        "ONNXMiniLM_L6_V2; --token-type-ids",
        _MAIN,
        folder="token-type-ids",
    ),
    Consumer(
        "pymilvus",
        "pymilvus-model",
        "light",
        "pymilvus_onnx.py",
        "OnnxEmbeddingFunction; --token-type-ids --single-file",
        _MAIN,
        folder="portvec/token-type-ids",
        zero_is_nan=True,
    ),
    Consumer(
        "Transformers.js 4",
        _HUGGINGFACE,
        "node-4",
        "transformers_js_pipeline.mjs",
        "pipeline, fp32; --token-type-ids",
        _MAIN,
        folder="token-type-ids",
    ),
]
