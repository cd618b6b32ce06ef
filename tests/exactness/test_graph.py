"""The graph as consumers other than the runtime see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from tokenizers import Tokenizer

import tiny_models
from consumer_inputs import consumer_inputs
from portvec import StaticEmbedder
from portvec._inference.onnxruntime import onnxruntime as ort
from portvec_export import export_model

TEXTS = ["the value of a", "", "[UNK] [UNK]", "a much longer text about the return value of functions"]


def test_contract(tiny: Path) -> None:
    model = onnx.load(tiny / "onnx" / "model.onnx", load_external_data=False)
    assert model.ir_version == 8
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 14)]
    assert {node.domain for node in model.graph.node} == {""}

    def shapes(values: list[onnx.ValueInfoProto]) -> dict[str, list[str | int]]:
        return {
            value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
            for value in values
        }

    axes: list[str | int] = ["batch_size", "sequence_length"]
    assert shapes(list(model.graph.input)) == {"input_ids": axes, "attention_mask": axes}
    assert list(shapes(list(model.graph.output)).items()) == [
        ("last_hidden_state", [*axes, 24]),
        ("sentence_embedding", ["batch_size", 24]),
    ]
    external = [tensor for tensor in model.graph.initializer if tensor.external_data]
    location = {entry.key: entry.value for entry in external[0].external_data}
    assert location == {"location": "model.onnx_data", "offset": "0", "length": str(801 * 24 * 4)}


@pytest.mark.parametrize("kind", tiny_models.KINDS)
def test_every_pooling_of_every_consumer_finds_the_vector(kind: tiny_models.Kind, tmp_path: Path) -> None:
    folder = export_model(tiny_models.save(tmp_path / "model", kind), tmp_path / "artifact")
    inputs = consumer_inputs(folder, TEXTS)
    session = ort.InferenceSession(str(folder / "onnx" / "model.onnx"))
    hidden, embedding = session.run(None, inputs)
    np.testing.assert_allclose(embedding, StaticEmbedder.load(folder).encode(TEXTS), rtol=0, atol=1e-6)
    for pooled in (hidden.mean(axis=1), hidden[:, 0], hidden[:, -1]):
        np.testing.assert_allclose(pooled, embedding, rtol=0, atol=1e-6)
    mask = inputs["attention_mask"][:, :, None].astype(np.float32)
    masked = (hidden * mask).sum(axis=1) / np.maximum(mask.sum(axis=1), 1)
    filled = mask.any(axis=(1, 2))  # without an UNK, an empty text has nothing to take a mean of
    np.testing.assert_allclose(masked[filled], embedding[filled], rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("quantized", [False, True])
def test_reference_evaluator_and_unoptimized_graph_agree(dtype: str, quantized: bool, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "vectors": tiny_models.vectors(30),
        "token_mapping": np.arange(800) % 30,
        "weights": np.linspace(0.1, 2, 800, dtype=np.float32),
    }
    source = tiny_models.save(tmp_path / "model", **(options if quantized else {}))
    folder = export_model(source, tmp_path / "artifact", dtype=dtype)
    expected = StaticEmbedder.load(folder).encode(TEXTS)
    inputs = consumer_inputs(folder, TEXTS)
    path = str(folder / "onnx" / "model.onnx")
    for level in (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL):
        session_options = ort.SessionOptions()
        session_options.graph_optimization_level = level
        (got,) = ort.InferenceSession(path, session_options).run(["sentence_embedding"], inputs)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)
    if tuple(map(int, onnx.__version__.split(".")[:2])) < (1, 23):
        return  # the evaluator's Gather fails on transposed indices
    evaluated: Any = ReferenceEvaluator(path).run(["sentence_embedding"], inputs)
    np.testing.assert_allclose(evaluated[0], expected, rtol=0, atol=1e-6)


def test_empty_sequence_gives_zeros(tiny: Path) -> None:
    session = ort.InferenceSession(str(tiny / "onnx" / "model.onnx"))
    empty = np.zeros((2, 0), dtype=np.int64)
    hidden, embedding = session.run(None, {"input_ids": empty, "attention_mask": empty})
    assert hidden.shape == (2, 0, 24)
    assert not embedding.any()
    assert embedding.shape == (2, 24)


def test_configuration_files_fit_the_graph(tiny: Path) -> None:
    config = json.loads((tiny / "config.json").read_text())
    assert (config["model_type"], config["hidden_size"], config["vocab_size"]) == ("bert", 24, 800)
    assert config["max_position_embeddings"] == 514
    assert config["transformers.js_config"]["use_external_data_format"] == {"model.onnx": True}
    tokenizer_config = json.loads((tiny / "tokenizer_config.json").read_text())
    assert tokenizer_config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert (tokenizer_config["unk_token"], tokenizer_config["pad_token"]) == ("[UNK]", "[PAD]")
    pooling = json.loads((tiny / "1_Pooling" / "config.json").read_text())
    assert pooling["word_embedding_dimension"] == 24


def test_a_model_without_padding_or_unknown_token_gets_a_padding_token(tmp_path: Path) -> None:
    folder = export_model(tiny_models.save(tmp_path / "model", "bpe"), tmp_path / "artifact")
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert tokenizer["padding"]["pad_id"] == 0
    assert tokenizer["padding"]["pad_token"] == "<|endoftext|>"
    assert tokenizer["post_processor"] is None


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({"pad_token": "[absent]", "pad_id": 0}, ("[PAD]", 0)),  # which consumers would add, with a new id
        ({"pad_token": "the", "pad_id": 0}, ("the", None)),  # None: its id in the vocabulary
    ],
)
def test_a_stored_padding_token_is_one_of_the_vocabulary(
    stored: dict[str, Any], expected: tuple[str, int | None], tmp_path: Path
) -> None:
    source = tiny_models.save(tmp_path / "model")
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.enable_padding(**stored)
    tokenizer.save(str(source / "tokenizer.json"))
    text, token_id = expected
    token_id = tokenizer.token_to_id(text) if token_id is None else token_id
    folder = export_model(source, tmp_path / "artifact")
    padding = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["padding"]
    assert (padding["pad_token"], padding["pad_id"]) == (text, token_id)
    assert json.loads((folder / "config.json").read_text())["pad_token_id"] == token_id
    assert json.loads((folder / "tokenizer_config.json").read_text())["pad_token"] == text


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])  # with an UNK around the text, and without
@pytest.mark.parametrize("max_length", [10, 40])
def test_a_cut_after_the_special_tokens_keeps_no_token_too_many(
    kind: tiny_models.Kind, max_length: int, tmp_path: Path
) -> None:
    source = tiny_models.save(tmp_path / "model", kind)
    folder = export_model(source, tmp_path / "artifact", max_length=max_length)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    limit = json.loads((folder / "tokenizer_config.json").read_text())["model_max_length"]
    tokenizer.no_truncation()
    text = " ".join("aeioutsnrlcdmpbfgh" * 9)  # its tokens run out before its characters
    ids = tokenizer.encode(text).ids[:limit]  # as Transformers.js cuts
    assert len(ids) == limit
    feeds = {"input_ids": np.array([ids]), "attention_mask": np.ones((1, limit), dtype=np.int64)}
    session = ort.InferenceSession(str(folder / "onnx" / "model.onnx"))
    hidden, embedding = session.run(None, feeds)
    assert hidden.shape == (1, limit, 24)
    expected = StaticEmbedder.load(folder).encode([text])
    np.testing.assert_allclose(embedding, expected, rtol=0, atol=1e-6)
