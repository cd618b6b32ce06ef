"""Pipelines: the head inside the graph, and model2vec's predictions from it."""

from __future__ import annotations

import json
import pickle
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from model2vec.inference import StaticModelPipeline
from safetensors.numpy import load_file, save_file

from classifiers import pipeline
from command_line import RunPortvec
from consumer_inputs import consumer_inputs
from corpus import paragraphs
from damage import replace_file
from damaged_graphs import edit_graph
from portvec import Model2VecEmbeddingFunction, StaticClassifier, StaticEmbedder, verify
from portvec._artifact import format as fmt
from portvec._inference.onnxruntime import onnxruntime as ort
from portvec.errors import ArtifactError, InputError, OptionError, SourceError
from portvec_export import export_model
from stock_graphs import KINDS, prove_less

TEXTS = [*paragraphs(300), "", "[UNK]", "the value " * 900]

CONSUMER_GRAPHS = ["onnx/model.onnx", "onnx/model_quantized.onnx", *fmt.TEXT_GRAPHS.values()]
# The output and the operator of each head, and an operator that somebody may put there instead.
ACTIVATIONS = {
    "softmax": ("probabilities", "Softmax", "Sigmoid"),
    "sigmoid": ("probabilities", "Sigmoid", "Softmax"),
    "regressor": ("predictions", "Identity", "Relu"),
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the artifact, with all graphs, of a kind of head; read-only by agreement."""

    @cache
    def export(kind: str) -> Path:
        folder = tmp_path_factory.mktemp(kind)
        pipeline(kind).save_pretrained(str(folder / "pipeline"))
        with pytest.MonkeyPatch.context() as patch:
            prove_less(patch)
            return export_model(
                folder / "pipeline",
                folder / "artifact",
                variants=["int8"],
                text_input=KINDS,
                semantics="model2vec" if kind == "regressor" else None,
            )

    return export


@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "integers", "regressor"])
@pytest.mark.parametrize("hidden", [(), (16,), (8, 8)])
def test_predictions_are_those_of_model2vec(kind: str, hidden: tuple[int, ...], tmp_path: Path) -> None:
    theirs = pipeline(kind, hidden)
    theirs.save_pretrained(str(tmp_path / "pipeline"))
    theirs = StaticModelPipeline.from_pretrained(tmp_path / "pipeline")
    ours = StaticClassifier.load(export_model(tmp_path / "pipeline", tmp_path / "artifact"), threads=2)
    expected, got = theirs.predict(TEXTS), ours.predict(TEXTS)
    assert got.shape == expected.shape
    if kind == "regressor":
        assert ours.classes is None
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
        with pytest.raises(SourceError, match="pipeline: a regressor has no probabilities; use predict"):
            ours.predict_proba(TEXTS)
        return
    assert ours.classes is not None
    np.testing.assert_array_equal(ours.classes, theirs.classes_)
    assert got.dtype == expected.dtype
    assert [np.asarray(row).tolist() for row in got] == [np.asarray(row).tolist() for row in expected]
    np.testing.assert_allclose(ours.predict_proba(TEXTS), theirs.predict_proba(TEXTS), rtol=0, atol=1e-6)
    if kind == "sigmoid":
        strict = zip(ours.predict(TEXTS, threshold=0.9), theirs.predict(TEXTS, threshold=0.9), strict=True)
        assert all(list(a) == list(b) for a, b in strict)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "regressor"])
def test_graph_gives_consumers_logits_and_what_they_mean(kind: str, tmp_path: Path) -> None:
    theirs = pipeline(kind)
    theirs.save_pretrained(str(tmp_path / "pipeline"))
    folder = export_model(tmp_path / "pipeline", tmp_path / "artifact")
    session = ort.InferenceSession(str(folder / "onnx" / "model.onnx"))
    activated = "predictions" if kind == "regressor" else "probabilities"
    assert [output.name for output in session.get_outputs()] == ["logits", activated, "sentence_embedding"]
    texts = ["the value of a", "", "[UNK] [UNK]", "a much longer text about the return value of functions"]
    logits, values, embedding = session.run(None, consumer_inputs(folder, texts))
    expected = theirs.predict(texts) if kind == "regressor" else theirs.predict_proba(texts)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(embedding, theirs.model.encode(texts), rtol=0, atol=1e-6)
    np.testing.assert_allclose(StaticClassifier.load(folder).logits(texts), logits, rtol=1e-5, atol=1e-5)
    embedder = StaticEmbedder.load(folder, semantics="model2vec")
    np.testing.assert_allclose(embedder.encode(texts), embedding, rtol=0, atol=1e-6)


def test_configuration_names_the_labels(tmp_path: Path) -> None:
    pipeline("softmax").save_pretrained(str(tmp_path / "pipeline"))
    folder = export_model(tmp_path / "pipeline", tmp_path / "artifact")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "cat", "1": "dog", "2": "ünïcorn"}
    assert config["label2id"] == {"cat": 0, "dog": 1, "ünïcorn": 2}
    assert config["problem_type"] == "single_label_classification"
    assert config["architectures"] == ["BertForSequenceClassification"]


def test_pipeline_folder_is_converted_on_load(tmp_path: Path) -> None:
    pipeline("softmax").save_pretrained(str(tmp_path / "pipeline"))
    classifier = StaticClassifier.load(tmp_path / "pipeline")
    assert classifier.predict(["one text"]).shape == (1,)
    assert classifier.predict([]).shape == (0,)
    assert classifier.predict_proba(iter(["a", "b"])).shape == (2, 3)
    with pytest.raises(InputError, match=r"texts\[0\] is of type int, expected str"):
        classifier.predict([1])  # type: ignore[list-item]


def test_changed_head_is_converted_anew(tmp_path: Path) -> None:
    pipeline("softmax").save_pretrained(str(tmp_path / "pipeline"))
    before = StaticClassifier.load(tmp_path / "pipeline").logits(["text"])
    pipeline("softmax", hidden=(5,)).save_pretrained(str(tmp_path / "pipeline"))
    assert np.abs(StaticClassifier.load(tmp_path / "pipeline").logits(["text"]) - before).max() > 0.1


def test_verify_finds_a_head_that_differs(tmp_path: Path) -> None:
    pipeline("softmax").save_pretrained(str(tmp_path / "pipeline"))
    folder = export_model(tmp_path / "pipeline", tmp_path / "artifact")
    assert verify(folder).texts == 64
    data = bytearray((folder / "onnx" / "model.onnx_data").read_bytes())
    data[-4:] = np.float32(100).tobytes()  # the last layer's bias comes last
    replace_file(folder, "onnx/model.onnx_data", bytes(data))
    with pytest.raises(ArtifactError, match=r"the logits of recorded text \d+ differs by .* more than 1e-05"):
        verify(folder)


class TestVerifyOfWhatFollowsTheLogits:
    """The graphs for consumers have it; portvec computes it itself."""

    @pytest.mark.parametrize("kind", ACTIVATIONS)
    @pytest.mark.parametrize("graph", CONSUMER_GRAPHS)
    def test_finds_another_activation(
        self, kind: str, graph: str, exported: Callable[[str], Path], tmp_path: Path
    ) -> None:
        output, operator, other = ACTIVATIONS[kind]

        def change(changed: onnx.GraphProto) -> None:
            (node,) = [node for node in changed.node if output in node.output]
            assert node.op_type == operator
            node.op_type = other

        folder = shutil.copytree(exported(kind), tmp_path / "artifact")
        edit_graph(folder, graph, change)
        with pytest.raises(
            ArtifactError, match=rf"the {output} of recorded text \d+ differs by .* than 1e-05"
        ):
            verify(folder)

    @pytest.mark.parametrize("graph", CONSUMER_GRAPHS)
    def test_finds_that_there_is_none(
        self, graph: str, exported: Callable[[str], Path], tmp_path: Path
    ) -> None:
        def change(changed: onnx.GraphProto) -> None:
            (output,) = [each for each in changed.output if each.name == "probabilities"]
            changed.output.remove(output)

        folder = shutil.copytree(exported("softmax"), tmp_path / "artifact")
        edit_graph(folder, graph, change)
        with pytest.raises(ArtifactError, match=rf"{re.escape(graph)}: not .*probabilities"):
            verify(folder)


def test_classifier_pickles_as_source_and_options(tmp_path: Path) -> None:
    pipeline("softmax").save_pretrained(str(tmp_path / "pipeline"))
    classifier = StaticClassifier.load(tmp_path / "pipeline", threads=1, token="hf_secret")
    content = pickle.dumps(classifier)
    assert b"hf_secret" not in content
    np.testing.assert_array_equal(pickle.loads(content).logits(TEXTS[:9]), classifier.logits(TEXTS[:9]))


def test_embedding_model_is_no_classifier(tiny: Path) -> None:
    with pytest.raises(
        SourceError, match="an embedding model without a classifier or regressor head; load it"
    ):
        StaticClassifier.load(tiny)


PROJECTOR = (
    "a projector or regressor; pass semantics='projector' for the output of its head, which "
    "StaticClassifier.load(...) predicts too, or semantics='model2vec' for the embedding before the head, as "
    "in model2vec's StaticModel"
)


class TestProjectors:
    """The output of a projector is that of its head. The vector before it must be asked for."""

    @pytest.fixture(params=["model", "artifact"])
    def folder(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        model = tmp_path / "model"
        pipeline("regressor").save_pretrained(str(model))
        return model if request.param == "model" else export_model(model, tmp_path / "artifact")

    @pytest.mark.parametrize("load", [StaticEmbedder.load, Model2VecEmbeddingFunction])
    def test_is_no_embedder(self, load: Any, folder: Path) -> None:
        StaticEmbedder.load(folder, semantics="model2vec")  # which may be in the cache now
        with pytest.raises(SourceError, match=rf"^{re.escape(str(folder))}: {re.escape(PROJECTOR)}$"):
            load(folder)

    def test_embeds_as_model2vec_does_if_told_so(self, folder: Path) -> None:
        expected = pipeline("regressor").model.encode(TEXTS)
        got = StaticEmbedder.load(folder, semantics="model2vec").encode(TEXTS)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)
        embed = Model2VecEmbeddingFunction(folder, semantics="model2vec")
        np.testing.assert_array_equal(embed.encode_documents(TEXTS), got)

    def test_on_the_command_line(self, folder: Path, portvec: RunPortvec, tmp_path: Path) -> None:
        (tmp_path / "texts.txt").write_text("a text\n")
        for command in (("embed", folder, "a text"), ("search", folder, "text", "-i", "texts.txt")):
            refused = portvec(*command)
            assert refused.returncode == 1
            assert "pass --semantics 'projector' for the output of its head" in refused.stderr
            assert "or --semantics 'model2vec' for the embedding before the head" in refused.stderr
            assert portvec(*command, "--semantics", "model2vec").returncode == 0

    def test_card_shows_how_to_predict(self, tmp_path: Path) -> None:
        pipeline("regressor").save_pretrained(str(tmp_path / "model"))
        card = (export_model(tmp_path / "model", tmp_path / "a") / "README.md").read_text(encoding="utf-8")
        assert "StaticClassifier.load(" in card
        assert "StaticEmbedder" not in card


def test_a_classifier_embeds_what_its_head_receives(tmp_path: Path) -> None:
    theirs = pipeline("softmax")
    theirs.save_pretrained(str(tmp_path / "pipeline"))
    got = StaticEmbedder.load(tmp_path / "pipeline").encode(TEXTS)
    np.testing.assert_allclose(got, theirs.model.encode(TEXTS), rtol=0, atol=1e-6)


def break_pipeline(folder: Path, fault: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    if fault == "classes":
        config["head_config"]["classes"] = ["only one"]
    elif fault == "activation":
        config["head_config"]["activation"] = "tanh"
    elif fault == "layers":
        config["head_config"]["n_layers"] = 3
    elif fault == "layers as text":
        config["head_config"]["n_layers"] = "2"
    elif fault == "classes as text":
        config["head_config"]["classes"] = "abc"
    elif fault == "config":
        del config["head_config"]
    elif fault == "corrupt":
        (folder / "head.safetensors").write_bytes(b"junk")
    elif fault == "shape":
        save_file(
            {
                "head.0.weight": np.ones((16, 5), np.float32),
                "head.0.bias": np.ones(16, np.float32),
                "head.1.weight": np.ones((3, 16), np.float32),
                "head.1.bias": np.ones(3, np.float32),
            },
            folder / "head.safetensors",
        )
    elif fault in ("NaN", "integers"):
        tensors = load_file(folder / "head.safetensors")
        weight = tensors["head.0.weight"]
        tensors["head.0.weight"] = weight * np.float32("nan") if fault == "NaN" else weight.astype(np.int32)
        save_file(tensors, folder / "head.safetensors")
    elif fault == "no outputs":
        tensors = load_file(folder / "head.safetensors")
        tensors["head.1.weight"], tensors["head.1.bias"] = (
            np.ones((0, 16), np.float32),
            np.ones(0, np.float32),
        )
        save_file(tensors, folder / "head.safetensors")
        config["head_config"].update(activation="identity", classes=None)
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("classes", "1 classes do not fit a softmax head with 3 outputs; save the pipeline again"),
        ("activation", "head activation 'tanh' is unknown, expected one of softmax, sigmoid, identity"),
        (
            "layers",
            r"expected tensors head\.2\.weight and head\.2\.bias for 3 layers, has head\.0\.bias, head",
        ),
        ("config", r"config\.json: no head_config, but head\.safetensors exists"),
        ("corrupt", r"head\.safetensors: not a complete safetensors file \("),
        (
            "shape",
            r"layer 0 has weight \(16, 5\) and bias \(16,\), expected \(outputs, 24\) and \(outputs,\)",
        ),
        (
            "NaN",
            r"head\.safetensors: the tensor 'head\.0\.weight' has NaN, infinity or a number beyond float32",
        ),
        ("integers", r"the tensor 'head\.0\.weight' is int32, expected floating-point numbers; repair the"),
        ("no outputs", r"layer 1 has weight \(0, 16\) and bias \(0,\), expected .*, at least one; save the"),
        ("layers as text", r"config\.json: n_layers is '2', expected a whole number of 0 or more"),
        ("classes as text", r"config\.json: classes is 'abc', expected a list or null"),
    ],
)
def test_faulty_heads(fault: str, message: str, tmp_path: Path) -> None:
    pipeline("softmax").save_pretrained(str(tmp_path / "pipeline"))
    break_pipeline(tmp_path / "pipeline", fault)
    with pytest.raises(SourceError, match=message):
        export_model(tmp_path / "pipeline", tmp_path / "artifact")
    assert not (tmp_path / "artifact").exists()


@pytest.mark.parametrize("options", [{"dim": 5}, {"normalize": False}])
def test_options_that_the_head_was_not_trained_for(options: dict[str, Any], tmp_path: Path) -> None:
    pipeline("softmax").save_pretrained(str(tmp_path / "pipeline"))
    with pytest.raises(OptionError, match="a pipeline, whose head was trained on the model's own embeddings"):
        export_model(tmp_path / "pipeline", tmp_path / "artifact", **options)
    export_model(tmp_path / "pipeline", tmp_path / "artifact", dim=24, normalize=True, dtype="float16")


def test_info_names_the_head(portvec: RunPortvec, tmp_path: Path) -> None:
    pipeline("softmax").save_pretrained(str(tmp_path / "pipeline"))
    assert portvec("export", tmp_path / "pipeline", "-o", "a").returncode == 0
    assert "head           softmax over 3 classes: cat, dog, ünïcorn" in portvec("info", "a").stdout
