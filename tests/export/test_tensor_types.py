"""Types of tensors that numpy lacks: bfloat16 is read as float32, and others are refused by their name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model2vec import StaticModel
from model2vec.inference import StaticModelPipeline
from model2vec.inference.mlp import Activation, Layer, MLPHead

import static_folders
import tiny_models
from classifiers import pipeline
from corpus import paragraphs
from folders import contents
from portvec import StaticClassifier, StaticEmbedder, verify
from portvec.errors import SourceError
from portvec_export import export_model
from tensor_files import float32, random_bfloat16, write_tensors

TEXTS = [*paragraphs(200), "", "[UNK]"]
SIZE = 800


def assert_embeds_as(embedder: StaticEmbedder, model: StaticModel) -> None:
    assert embedder.tokenize(TEXTS).lists() == model.tokenize([text[:3072] for text in TEXTS])
    np.testing.assert_allclose(embedder.encode(TEXTS), model.encode(TEXTS), rtol=0, atol=1e-6)
    for text in TEXTS[:20]:  # in order, to the last bit
        np.testing.assert_array_equal(embedder.encode(text), model.encode(text))


@pytest.mark.parametrize("normalize", [True, False])
def test_a_table_of_bfloat16_is_one_of_float32(normalize: bool, tmp_path: Path) -> None:
    values, tensor = random_bfloat16(SIZE, 24)
    source = tiny_models.save(tmp_path / "model", normalize=normalize, vectors=values)
    expected = contents(export_model(source, tmp_path / "expected"))
    write_tensors(source / "model.safetensors", {"embeddings": tensor})
    got = contents(export_model(source, tmp_path / "got"))
    # The manifest and the card name the file that was read.
    for name in expected.keys() - {"portvec.json", "README.md"}:
        assert got[name] == expected[name], name
    model = tiny_models.model(vectors=values, normalize=normalize)
    assert_embeds_as(StaticEmbedder.load(tmp_path / "got"), model)
    assert_embeds_as(StaticEmbedder.load(source), model)
    assert verify(tmp_path / "got").texts == 64


@pytest.mark.parametrize("mapped", [True, False])
def test_weights_of_bfloat16(mapped: bool, tmp_path: Path) -> None:
    mapping = np.random.default_rng(1).integers(0, 50, SIZE) if mapped else None
    values, tensor = random_bfloat16(50 if mapped else SIZE, 24)
    weights, weight_tensor = random_bfloat16(SIZE, seed=5)
    model = tiny_models.model(vectors=values, weights=weights, token_mapping=mapping)
    source = tmp_path / "model"
    model.save_pretrained(source)
    tensors = {"embeddings": tensor, "weights": weight_tensor}
    if mapping is not None:
        tensors["mapping"] = ("I64", (SIZE,), mapping.astype("<i8").tobytes())
    write_tensors(source / "model.safetensors", tensors)
    assert_embeds_as(StaticEmbedder.load(export_model(source, tmp_path / "artifact")), model)


def test_in_a_folder_of_sentence_transformers(tmp_path: Path) -> None:
    values, tensor = random_bfloat16(SIZE, 24)
    source = tiny_models.save_sentence_transformers(tmp_path / "model", nested=True)
    write_tensors(source / "0_StaticEmbedding" / "model.safetensors", {"embedding.weight": tensor})
    model = tiny_models.model(vectors=values, normalize=False)
    assert_embeds_as(StaticEmbedder.load(export_model(source, tmp_path / "artifact")), model)


def test_under_the_rules_of_sentence_transformers(tmp_path: Path) -> None:
    """Table, Dense and SSE in bfloat16 give the layers and vectors of the same values in float32."""
    (table, stored_table), *layer = (random_bfloat16(*shape, seed=3) for shape in ((SIZE, 24), (9, 24), (9,)))
    dense = dict(zip(("linear.weight", "linear.bias"), layer, strict=True))
    sse = {f"dyt.{name}": random_bfloat16(24, seed=5) for name in ("alpha", "beta", "bias")}
    source = static_folders.save(tmp_path / "model", "wordpiece", static_folders.dense(24, 9), table=table)
    modules = source / "modules.json"
    modules.write_text(modules.read_text().replace(f"{static_folders.PACKAGE}StaticEmbedding", "sse.SSE"))
    found = []
    for dtype in ("float32", "bfloat16"):
        tensors = {"embedding.weight": (table, stored_table), **sse}
        for path, each in ((source, tensors), (source / "1_Dense", dense)):
            stored = {
                name: float32(values) if dtype == "float32" else tensor
                for name, (values, tensor) in each.items()
            }
            write_tensors(path / "model.safetensors", stored)
        embedder = StaticEmbedder.load(source, semantics="sentence-transformers")
        assert [each["type"] for each in embedder.manifest.layers] == ["dynamic_tanh", "dense"]
        found.append(embedder.encode(TEXTS))
    np.testing.assert_array_equal(found[0], found[1])


def test_options_that_change_the_table(tmp_path: Path) -> None:
    values, tensor = random_bfloat16(SIZE, 24)
    source = tiny_models.save(tmp_path / "model", vectors=values)
    options: list[dict[str, Any]] = [
        {"dim": 7},
        {"vocabulary_size": 50},
        {"dtype": "int8"},
        {"dtype": "int4"},
    ]
    for number, given in enumerate(options):
        tiny_models.save(source, vectors=values)
        expected = StaticEmbedder.load(export_model(source, tmp_path / f"expected{number}", **given))
        write_tensors(source / "model.safetensors", {"embeddings": tensor})
        got = StaticEmbedder.load(export_model(source, tmp_path / f"got{number}", **given))
        np.testing.assert_array_equal(got.encode(TEXTS), expected.encode(TEXTS))
        assert got.manifest.quality == expected.manifest.quality


def test_what_float16_loses_is_recorded(tmp_path: Path) -> None:
    source = tiny_models.save(tmp_path / "model")
    for exponents, loses in (((-4, 2), False), ((-30, -10), True)):  # float16 holds few digits below 2**-14
        _, tensor = random_bfloat16(SIZE, 24, exponents=exponents)
        write_tensors(source / "model.safetensors", {"embeddings": tensor})
        manifest = StaticEmbedder.load(source, dtype="float16").manifest
        assert (manifest.quality is not None) == loses


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    source = tiny_models.save(tmp_path / "model")
    bits = np.full((SIZE, 24), 0x3F80, "<u2")  # 1.0
    bits[3, 0], bits[9, 5], bits[11, 1] = 0x7F80, 0x7FC0, 0xFF81  # infinity, and two kinds of NaN
    write_tensors(source / "model.safetensors", {"embeddings": ("BF16", bits.shape, bits.tobytes())})
    message = (
        r"model\.safetensors: NaN or infinity in 3 embedding rows \(first: 3, 9, 11\); repair the model$"
    )
    with pytest.raises(SourceError, match=message):
        export_model(source, tmp_path / "artifact")


def test_a_head_of_bfloat16(tmp_path: Path) -> None:
    source = tmp_path / "pipeline"
    theirs = pipeline("softmax", hidden=())
    theirs.save_pretrained(str(source))
    (weight, weight_tensor), (bias, bias_tensor) = random_bfloat16(3, 24), random_bfloat16(3, seed=4)
    write_tensors(source / "head.safetensors", {"head.0.weight": weight_tensor, "head.0.bias": bias_tensor})
    head = MLPHead([Layer(weight, bias)], Activation.SOFTMAX, theirs.classes_)
    expected = StaticModelPipeline(theirs.model, head).predict_proba(TEXTS)
    got = StaticClassifier.load(export_model(source, tmp_path / "artifact")).predict_proba(TEXTS)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)


# Bytes for an element of each type that safetensors knows and no model can have.
UNKNOWN = {"F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "C64": 8}


@pytest.mark.parametrize("kind", UNKNOWN)
@pytest.mark.parametrize("name", ["embeddings", "weights", "mapping"])
def test_a_type_that_no_model_has(kind: str, name: str, tmp_path: Path) -> None:
    source = tiny_models.save(tmp_path / "model")
    shape = (SIZE, 24) if name == "embeddings" else (SIZE,)
    foreign = {name: (kind, shape, bytes(int(np.prod(shape)) * UNKNOWN[kind]))}
    write_tensors(source / "model.safetensors", {"embeddings": float32(tiny_models.vectors(SIZE)), **foreign})
    message = (
        rf"model\.safetensors: the tensor '{name}' is {kind}, expected F64, F32, F16, BF16 or a type of "
        r"integers; convert it to float32, and save the model again$"
    )
    with pytest.raises(SourceError, match=message):
        export_model(source, tmp_path / "artifact")


@pytest.mark.parametrize(
    ("kind", "size", "name"),
    [("I64", 8, "int64"), ("I16", 2, "int16"), ("U8", 1, "uint8"), ("BOOL", 1, "bool")],
)
def test_a_table_of_integers_that_model2vec_would_cut(
    kind: str, size: int, name: str, tmp_path: Path
) -> None:
    source = tiny_models.save(tmp_path / "model")
    write_tensors(source / "model.safetensors", {"embeddings": (kind, (SIZE, 24), bytes(SIZE * 24 * size))})
    message = (
        rf"model\.safetensors: the embeddings are {name}, expected float16, float32, float64, int8, because "
        r"model2vec cuts means of other types to whole numbers; convert them to float32$"
    )
    with pytest.raises(SourceError, match=message):
        export_model(source, tmp_path / "artifact")


def test_a_mapping_of_bfloat16(tmp_path: Path) -> None:
    source = tiny_models.save(tmp_path / "model")
    _, mapping = random_bfloat16(SIZE)
    tensors = {"embeddings": float32(tiny_models.vectors(SIZE)), "mapping": mapping}
    write_tensors(source / "model.safetensors", tensors)
    with pytest.raises(SourceError, match=r"the token mapping is float32 \(800,\), expected integers"):
        export_model(source, tmp_path / "artifact")
