"""Projectors: the output of the head is the embedding, as model2vec's pipeline predicts it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from model2vec.inference import StaticModelPipeline

from classifiers import pipeline
from command_line import RunPortvec
from consumer_inputs import consumer_inputs
from corpus import paragraphs
from damage import edit, replace_file
from portvec import Model2VecEmbeddingFunction, StaticClassifier, StaticEmbedder, verify
from portvec._inference.onnxruntime import onnxruntime as ort
from portvec.errors import ArtifactError, OptionError, SourceError
from portvec.integrations._common import LazyEmbedder, encode_documents, encode_query
from portvec_export import export_model
from portvec_export._source.vectors import vectors_of, with_vectors
from portvec_export._table.registry import codec_for

TEXTS = [*paragraphs(300), "", "[UNK]", "the value " * 900]
DTYPES = ["float32", "float16", "int8", "int4"]
OUTPUTS = 32


def save(folder: Path, hidden: tuple[int, ...] = (48,), outputs: int = OUTPUTS, **options: Any) -> Path:
    """Write a projector whose table is exact in float16."""
    pipeline("regressor", hidden, outputs, **options).save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="module")
def projector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read-only by agreement."""
    return save(tmp_path_factory.mktemp("projector") / "model")


@pytest.fixture(scope="module")
def exported(projector: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read-only by agreement."""
    folder = tmp_path_factory.mktemp("exported") / "artifact"
    return export_model(projector, folder, semantics="projector", variants=DTYPES)


def predicted(folder: Path, dtype: str = "float32") -> npt.NDArray[np.float32]:
    """Return what model2vec's pipeline predicts with the values that a table of this type holds."""
    theirs = StaticModelPipeline.from_pretrained(folder)
    vectors = vectors_of(theirs.model)
    rows = codec_for(dtype).encode(vectors, theirs.model.max_length).dequantized
    theirs.model = with_vectors(theirs.model, type(vectors)(rows))
    return np.asarray(theirs.predict(TEXTS), dtype=np.float32)


def check(got: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    """Check that vectors differ by at most 1e-6 of the mean norm, which sums that cancel do not lower."""
    assert got.dtype == np.float32
    assert got.shape == expected.shape
    scale = np.linalg.norm(expected, axis=1).mean()
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("hidden", [(), (16,), (64, 48)])
@pytest.mark.parametrize("outputs", [2, OUTPUTS])
def test_embeddings_are_predictions(
    hidden: tuple[int, ...], outputs: int, normalize: bool, dtype: str, tmp_path: Path
) -> None:
    source = save(tmp_path / "model", hidden, outputs, normalize=normalize)
    folder = export_model(source, tmp_path / "artifact", semantics="projector", dtype=dtype)
    embedder = StaticEmbedder.load(folder, threads=2)
    expected = predicted(source, dtype)
    got = embedder.encode(TEXTS)
    check(got, expected)
    check(np.stack([embedder.encode(text) for text in TEXTS[-20:]]), expected[-20:])
    check(np.concatenate(list(embedder.encode_batches(iter(TEXTS), batch_size=50))), expected)
    assert embedder.dim == embedder.manifest.dim == outputs
    assert verify(folder).texts == 64


@pytest.mark.parametrize("single_file", [False, True])
def test_consumers_get_the_embedding_at_every_position(
    single_file: bool, projector: Path, tmp_path: Path
) -> None:
    folder = export_model(
        projector, tmp_path / "artifact", semantics="projector", single_file=single_file, variants=DTYPES
    )
    texts = TEXTS[:5] + TEXTS[-3:-1]
    for dtype, name in zip(DTYPES, ("model", "model_fp16", "model_quantized", "model_q4"), strict=True):
        session = ort.InferenceSession(str(folder / "onnx" / f"{name}.onnx"))
        ports = [(each.name, each.shape[-1]) for each in session.get_outputs()]
        assert ports == [("last_hidden_state", OUTPUTS), ("sentence_embedding", OUTPUTS)]
        hidden, embedding = session.run(None, consumer_inputs(folder, texts))
        check(embedding, predicted(projector, dtype)[[*range(5), -3, -2]])
        for pooled in (hidden.mean(axis=1), hidden[:, 0], hidden[:, -1]):
            check(pooled, embedding)
    assert json.loads((folder / "config.json").read_text())["hidden_size"] == OUTPUTS
    assert (
        json.loads((folder / "1_Pooling" / "config.json").read_text())["word_embedding_dimension"] == OUTPUTS
    )
    assert (folder / "portvec.graph").is_file() != single_file
    check(StaticEmbedder.load(folder).encode(TEXTS), predicted(projector))


def test_an_empty_sequence_passes_through_the_layers(exported: Path, projector: Path) -> None:
    session = ort.InferenceSession(str(exported / "onnx" / "model.onnx"))
    empty = np.zeros((2, 0), dtype=np.int64)
    _, embedding = session.run(None, {"input_ids": empty, "attention_mask": empty})
    nothing = predicted(projector)[TEXTS.index("")]
    assert np.linalg.norm(nothing) > 1
    check(embedding, np.stack([nothing, nothing]))
    check(StaticEmbedder.load(exported).encode(["", "[UNK]"]), np.stack([nothing, nothing]))


def test_the_manifest_says_what_the_mean_passes_through(exported: Path) -> None:
    document = json.loads((exported / "portvec.json").read_text())
    assert document["format_version"] == 2
    assert (document["dim"], document["table_dim"], document["head"]) == (OUTPUTS, 24, None)
    assert document["normalize"]  # of the mean: the head was trained on unit vectors
    dense = {"type": "dense", "residual": False}
    assert document["layers"] == [
        {**dense, "inputs": 24, "outputs": 48, "activation": "relu"},
        {**dense, "inputs": 48, "outputs": OUTPUTS, "activation": "identity"},
    ]
    assert json.loads((exported / "conformance.json").read_text())["tolerance"] == 1e-5


def test_it_is_shown(exported: Path, portvec: RunPortvec) -> None:
    shown = portvec("info", exported).stdout
    assert "embedding      32 x float32, not normalized" in shown
    layers = "unit length, dense 24 to 48 with relu, dense 48 to 32"
    assert f"layers         {layers}\n" in shown
    assert "format         version 2" in shown
    card = (exported / "README.md").read_text(encoding="utf-8")
    assert "| embedding | 32 x float32, not normalized |" in card
    assert f"| after the mean | {layers} |" in card
    assert "StaticClassifier" not in card
    assert "float32 (2, 32)" in card


class TestWithoutAnExport:
    """A folder of model2vec is converted as `semantics` says, by everything that loads one."""

    def test_embedders(self, projector: Path) -> None:
        expected = predicted(projector)
        check(StaticEmbedder.load(projector, semantics="projector").encode(TEXTS), expected)
        before = StaticEmbedder.load(projector, semantics="model2vec")
        assert before.encode(TEXTS).shape == (len(TEXTS), 24)
        embed = Model2VecEmbeddingFunction(projector, semantics="projector")
        assert embed.dim == OUTPUTS
        check(np.stack(embed.encode_documents(TEXTS)), expected)
        check(np.stack(embed.encode_queries(TEXTS[:2])), expected[:2])

    def test_command_line(self, projector: Path, portvec: RunPortvec, tmp_path: Path) -> None:
        option = ("--semantics", "projector")
        shown = portvec("embed", projector, TEXTS[0], *option)
        check(np.array([json.loads(shown.stdout)["embedding"]], np.float32), predicted(projector)[:1])
        (tmp_path / "texts.txt").write_text("a text\nanother text\n")
        assert portvec("search", projector, "a text", "-i", "texts.txt", *option).returncode == 0
        assert portvec("export", projector, "-o", "artifact", *option).returncode == 0
        done = portvec("embed", "artifact", "-i", "texts.txt", "-o", "vectors.npy")
        assert done.returncode == 0, done.stderr
        assert np.load(tmp_path / "vectors.npy").shape == (2, OUTPUTS)

    def test_arrow(self, projector: Path) -> None:
        import pyarrow as pa

        from portvec.integrations.arrow import embed_batch

        embedder = StaticEmbedder.load(projector, semantics="projector")
        batch = embed_batch(embedder, pa.record_batch({"text": TEXTS}))
        vectors = np.array(batch.column("embedding").to_pylist(), np.float32)
        check(vectors, predicted(projector))

    def test_adapters(self, projector: Path) -> None:
        embedder = LazyEmbedder(projector, {"semantics": "projector"}).embedder
        check(encode_documents(embedder, TEXTS), predicted(projector))
        check(encode_query(embedder, TEXTS[0])[None], predicted(projector)[:1])

    def test_the_dimension_is_that_of_the_embedding(self, projector: Path) -> None:
        assert StaticEmbedder.load(projector, semantics="projector", dim=OUTPUTS).dim == OUTPUTS


class TestRefusals:
    @pytest.mark.parametrize("options", [{"dim": 24}, {"dim": 5}, {"normalize": True}, {"normalize": False}])
    def test_options_that_the_head_was_not_trained_for(
        self, options: dict[str, Any], projector: Path, tmp_path: Path
    ) -> None:
        message = (
            r"model: has layers after the mean, which were trained on the model's own means; leave out "
            r"dim=\.\.\. and normalize=\.\.\.$"
        )
        with pytest.raises(OptionError, match=message):
            export_model(projector, tmp_path / "artifact", semantics="projector", **options)
        assert not (tmp_path / "artifact").exists()

    def test_options_that_an_artifact_cannot_follow(self, exported: Path) -> None:
        with pytest.raises(
            SourceError,
            match=r"artifact: an artifact with layers after the mean; leave out normalize=\.\.\.$",
        ):
            StaticEmbedder.load(exported, normalize=True)
        with pytest.raises(
            SourceError, match=r"an artifact exported with dim 32, but 24 was asked for; export"
        ):
            StaticEmbedder.load(exported, dim=24)
        with pytest.raises(
            SourceError,
            match=r"artifact: an artifact exported with semantics 'projector', but 'model2vec' was asked "
            r"for; export the model again with semantics='model2vec'$",
        ):
            StaticEmbedder.load(exported, semantics="model2vec")
        assert StaticEmbedder.load(exported, semantics="projector", dim=OUTPUTS).dim == OUTPUTS

    def test_an_artifact_of_a_pipeline(self, projector: Path, tiny: Path, tmp_path: Path) -> None:
        for folder in (tiny, export_model(projector, tmp_path / "pipeline")):
            with pytest.raises(
                SourceError,
                match=r"an artifact exported with semantics 'model2vec', but 'projector' was asked for; "
                r"export the model again with semantics='projector'$",
            ):
                StaticEmbedder.load(folder, semantics="projector")

    def test_a_projector_is_no_classifier(self, exported: Path) -> None:
        with pytest.raises(SourceError, match="an embedding model without a classifier or regressor head"):
            StaticClassifier.load(exported)

    def test_a_projector_that_should_predict(self, projector: Path) -> None:
        with pytest.raises(
            SourceError,
            match=rf"^{re.escape(str(projector))}: an embedding model without a classifier or regressor "
            r"head; leave out semantics='projector' to predict with its head, or load it with "
            r"StaticEmbedder$",
        ):
            StaticClassifier.load(projector, semantics="projector")

    @pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
    def test_a_classifier(self, kind: str, tmp_path: Path) -> None:
        pipeline(kind).save_pretrained(str(tmp_path / "model"))
        with pytest.raises(
            SourceError,
            match=rf"head\.safetensors: not a projector, but a classifier with {kind}; pass "
            r"semantics='model2vec' for the model's embeddings, or leave out semantics='projector' and load "
            r"it with StaticClassifier$",
        ):
            export_model(tmp_path / "model", tmp_path / "artifact", semantics="projector")

    def test_a_model_without_a_head(self, tiny_model: Path, portvec: RunPortvec) -> None:
        message = "not a projector, since it has no head.safetensors; leave out semantics='projector'"
        with pytest.raises(SourceError, match=rf"^{re.escape(str(tiny_model))}: {re.escape(message)}$"):
            StaticEmbedder.load(tiny_model, semantics="projector")
        refused = portvec("embed", tiny_model, "a text", "--semantics", "projector")
        assert refused.returncode == 1
        assert "since it has no head.safetensors; leave out --semantics 'projector'" in refused.stderr

    def test_a_head_without_layers(self, tmp_path: Path) -> None:
        built = pipeline("regressor")
        built.head.layers.clear()
        built.save_pretrained(str(tmp_path / "model"))
        with pytest.raises(
            SourceError,
            match=r"head\.safetensors: has no layers, so its output is the embedding; pass "
            r"semantics='model2vec' for the model's embeddings$",
        ):
            export_model(tmp_path / "model", tmp_path / "artifact", semantics="projector")

    def test_a_head_whose_outputs_float32_cannot_hold(self, tmp_path: Path) -> None:
        built = pipeline("regressor", (16,))
        built.head.layers[1].weight[:] = 3e38
        built.save_pretrained(str(tmp_path / "model"))
        with pytest.raises(
            SourceError, match=r"head\.safetensors: outputs of layer 1 may be as large as .*e\+"
        ):
            export_model(tmp_path / "model", tmp_path / "artifact", semantics="projector")


class TestDamage:
    @pytest.fixture
    def damaged(self, projector: Path, tmp_path: Path) -> Path:
        """Free to damage."""
        return export_model(projector, tmp_path / "damaged", semantics="projector")

    def test_verify_finds_a_layer_that_differs(self, damaged: Path) -> None:
        data = bytearray((damaged / "onnx" / "model.onnx_data").read_bytes())
        last = np.frombuffer(data, np.float32)[-1]
        data[-4:] = np.float32(last + 0.01).tobytes()  # the bias of the last layer comes last
        replace_file(damaged, "onnx/model.onnx_data", bytes(data))
        with pytest.raises(
            ArtifactError, match=r"the embedding of recorded text \d+ differs by .* than 1e-05"
        ):
            verify(damaged)

    @pytest.mark.parametrize("activation", ["tanh", "gelu"])
    def test_another_activation_in_the_manifest(self, activation: str, damaged: Path) -> None:
        """The graph computes, and the manifest only describes it."""
        expected = StaticEmbedder.load(damaged).encode(TEXTS[:9])
        edit(damaged, lambda m: m["layers"][0].update(activation=activation))
        np.testing.assert_array_equal(StaticEmbedder.load(damaged).encode(TEXTS[:9]), expected)
        assert verify(damaged).texts == 64

    def test_an_older_format_has_no_layers(self, damaged: Path) -> None:
        edit(damaged, lambda m: m.update(format_version=1))
        with pytest.raises(
            ArtifactError,
            match=r"portvec\.json: has layers, which format version 1 does not have; export the model again$",
        ):
            StaticEmbedder.load(damaged)

    def test_a_graph_without_the_layers(self, damaged: Path, projector: Path, tmp_path: Path) -> None:
        """Nothing is embedded with a graph whose output has another width."""
        plain = export_model(projector, tmp_path / "plain", semantics="model2vec")
        replace_file(damaged, "portvec.graph", (plain / "portvec.graph").read_bytes())
        with pytest.raises(ArtifactError, match=r"not a portvec graph, expected .* of dimension 32, got "):
            StaticEmbedder.load(damaged)

    def test_an_operator_that_no_layer_has(self, damaged: Path) -> None:
        model = onnx.load_model_from_string((damaged / "portvec.graph").read_bytes())
        next(node for node in model.graph.node if node.op_type == "Relu").op_type = "Sin"
        replace_file(damaged, "portvec.graph", model.SerializeToString())
        with pytest.raises(
            ArtifactError, match=r"portvec\.graph: holds the operator 'Sin', which no portvec"
        ):
            StaticEmbedder.load(damaged)
