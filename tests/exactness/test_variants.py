"""Several types in one folder, and a third input, for runtimes other than portvec's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from model2vec.inference import StaticModelPipeline
from tokenizers import Tokenizer

import tiny_models
from classifiers import pipeline
from command_line import RunPortvec
from corpus import paragraphs
from damage import edit, replace_file
from portvec import StaticClassifier, StaticEmbedder, verify
from portvec._inference.onnxruntime import onnxruntime as ort
from portvec.errors import ArtifactError, ExportError
from portvec_export import export_model

GRAPHS = {
    "float32": "onnx/model.onnx",
    "float16": "onnx/model_fp16.onnx",
    "int8": "onnx/model_quantized.onnx",
    "int4": "onnx/model_q4.onnx",
}
TEXTS = ["the value of a", "", "[UNK]", *paragraphs(100)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that loses something in each smaller type."""
    size = tiny_models.tokenizer("wordpiece").get_vocab_size()
    table = np.random.default_rng(5).standard_normal((size, 24)).astype(np.float32)
    return tiny_models.save(tmp_path_factory.mktemp("variants") / "model", vectors=table)


@pytest.fixture(scope="module")
def together(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read-only by agreement."""
    return export_model(model, tmp_path_factory.mktemp("together") / "artifact", variants=list(GRAPHS))


@pytest.fixture(scope="module")
def accepting(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Accepts token_type_ids; read-only by agreement."""
    folder = tmp_path_factory.mktemp("accepting") / "artifact"
    return export_model(model, folder, variants=["int4"], token_type_ids=True)


@pytest.fixture
def damaged(model: Path, tmp_path: Path) -> Path:
    """Free to damage."""
    return export_model(model, tmp_path / "damaged", variants=["int8"])


def run_graph(path: Path, **further: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.float32]]:
    """Run a graph as a consumer does that knows the files of transformers."""
    tokenizer = Tokenizer.from_file(str(path.parent.parent / "tokenizer.json"))
    encodings = tokenizer.encode_batch(TEXTS)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options)
    names = [output.name for output in session.get_outputs()]
    feeds = {
        "input_ids": np.array([encoding.ids for encoding in encodings]),
        "attention_mask": np.array([encoding.attention_mask for encoding in encodings]),
    }
    feeds |= {name: np.broadcast_to(value, feeds["input_ids"].shape) for name, value in further.items()}
    return dict(zip(names, session.run(None, feeds), strict=True))


@pytest.mark.parametrize("dtype", GRAPHS)
def test_each_variant_gives_the_vectors_of_an_artifact_of_its_own(
    dtype: str, model: Path, together: Path, tmp_path: Path
) -> None:
    alone = export_model(model, tmp_path / "alone", dtype=dtype)
    outputs = run_graph(together / GRAPHS[dtype])
    expected = StaticEmbedder.load(alone).encode(TEXTS)
    np.testing.assert_allclose(outputs["sentence_embedding"], expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(outputs["last_hidden_state"][:, 0], expected, rtol=0, atol=1e-6)
    if dtype != "float32":  # or the comparison would not tell one type from another
        other = run_graph(together / GRAPHS["float32"])["sentence_embedding"]
        assert np.abs(other - expected).max() > 1e-5
        assert (together / GRAPHS[dtype]).read_bytes() != (alone / GRAPHS["float32"]).read_bytes()
        data = (alone / "onnx" / "model.onnx_data").read_bytes()
        assert (together / f"{GRAPHS[dtype]}_data").read_bytes() == data


def test_the_runtime_loads_the_main_type(model: Path, together: Path, tmp_path: Path) -> None:
    alone = export_model(model, tmp_path / "alone")
    embedder = StaticEmbedder.load(together)
    assert embedder.manifest.dtype == "float32"
    np.testing.assert_array_equal(embedder.encode(TEXTS), StaticEmbedder.load(alone).encode(TEXTS))
    assert (together / "portvec.graph").read_bytes() == (alone / "portvec.graph").read_bytes()


def test_manifest_and_configuration_list_the_variants(together: Path) -> None:
    manifest = StaticEmbedder.load(together).manifest
    assert {dtype: one.graph for dtype, one in manifest.variants.items()} == {
        dtype: graph for dtype, graph in GRAPHS.items() if dtype != "float32"
    }
    for variant in manifest.variants.values():
        for name in (variant.graph, f"{variant.graph}_data", variant.conformance):
            assert manifest.files[name].size == (together / name).stat().st_size
        assert variant.quality is not None
        assert 0.9 < variant.quality.paragraphs.mean <= 1
    config = json.loads((together / "config.json").read_text())["transformers.js_config"]
    names = [Path(graph).name for graph in GRAPHS.values()]
    assert config == {"dtype": "fp32", "use_external_data_format": dict.fromkeys(names, True)}


def test_the_main_type_need_not_be_float32(model: Path, tmp_path: Path) -> None:
    folder = export_model(model, tmp_path / "artifact", dtype="float16", variants=["int8", "int8", "float16"])
    assert StaticEmbedder.load(folder).manifest.dtype == "float16"
    graphs = sorted(path.name for path in (folder / "onnx").glob("*.onnx"))
    assert graphs == ["model.onnx", "model_quantized.onnx"]


def test_single_files(model: Path, tmp_path: Path) -> None:
    folder = export_model(model, tmp_path / "artifact", variants=["int8"], single_file=True)
    assert verify(folder).texts == 64
    assert sorted(path.name for path in (folder / "onnx").iterdir()) == ["model.onnx", "model_quantized.onnx"]
    expected = StaticEmbedder.load(export_model(model, tmp_path / "alone", dtype="int8")).encode(TEXTS)
    moved = (folder / "onnx" / "model_quantized.onnx").rename(folder / "onnx" / "elsewhere.onnx")
    np.testing.assert_allclose(run_graph(moved)["sentence_embedding"], expected, rtol=0, atol=1e-6)


def test_pipelines(tmp_path: Path) -> None:
    source = tmp_path / "pipeline"
    pipeline("softmax").save_pretrained(str(source))
    folder = export_model(source, tmp_path / "artifact", variants=["int8"], token_type_ids=True)
    alone = StaticClassifier.load(export_model(source, tmp_path / "alone", dtype="int8"))
    logits = run_graph(folder / GRAPHS["int8"])["logits"]
    np.testing.assert_allclose(logits, alone.logits(TEXTS), rtol=1e-5, atol=1e-5)
    expected = StaticModelPipeline.from_pretrained(source).predict(TEXTS)
    assert list(StaticClassifier.load(folder).predict(TEXTS)) == list(expected)
    assert verify(folder).texts == 64


class TestVerify:
    def test_finds_a_wrong_table_in_a_variant(self, damaged: Path) -> None:
        name = "onnx/model_quantized.onnx_data"
        content = (damaged / name).read_bytes()
        replace_file(damaged, name, bytes(len(content) // 2) + content[len(content) // 2 :])
        StaticEmbedder.load(damaged)  # which does not use it
        with pytest.raises(ArtifactError, match=r"the embedding of recorded text .* differs by"):
            verify(damaged)

    def test_finds_a_changed_file(self, damaged: Path) -> None:
        path = damaged / "onnx" / "model_quantized.onnx"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        with pytest.raises(ArtifactError, match=r"model_quantized\.onnx: content differs"):
            verify(damaged)

    def test_refuses_data_that_the_manifest_hides(self, damaged: Path) -> None:
        edit(damaged, lambda manifest: manifest["files"].pop("onnx/model_quantized.onnx_data"))
        with pytest.raises(ArtifactError, match=r"model_quantized\.onnx_data: not listed in portvec\.json"):
            StaticEmbedder.load(damaged)

    def test_refuses_external_data_elsewhere(self, damaged: Path) -> None:
        graph = onnx.load_model_from_string((damaged / GRAPHS["int8"]).read_bytes())
        tensor = next(tensor for tensor in graph.graph.initializer if tensor.external_data)
        tensor.external_data[0].value = "model.onnx_data"
        replace_file(damaged, GRAPHS["int8"], graph.SerializeToString())
        with pytest.raises(ArtifactError, match=r"model_quantized\.onnx: holds external data in b'model\.on"):
            verify(damaged)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"int9": {}}, "variants: dtype 'int9' is unknown, expected one of float32, "),
        ({"int8": []}, "variants: field int8 has type list, expected dict"),
        ({"int8": {"graph": "onnx/x.onnx"}}, "variants: int8: field conformance is missing"),
        (
            {"int8": {"graph": "../x.onnx", "conformance": "conformance.json", "quality": None}},
            r"files does not list '\.\./x\.onnx'; export",
        ),
        ([], "field variants has type list, expected dict"),
    ],
)
def test_manifests_with_wrong_variants(tiny: Path, change: Any, message: str) -> None:
    edit(tiny, lambda manifest: manifest.update(variants=change))
    with pytest.raises(ArtifactError, match=message):
        StaticEmbedder.load(tiny)


def test_manifest_of_before_there_were_variants(tiny: Path) -> None:
    edit(tiny, lambda manifest: manifest.pop("variants"))
    assert StaticEmbedder.load(tiny).manifest.variants == {}
    assert verify(tiny).texts == 64


class TestRefusals:
    def test_values_that_a_variant_cannot_hold(self, tmp_path: Path) -> None:
        built = tiny_models.model()
        source = tiny_models.save(tmp_path / "model", vectors=built.embedding * np.float32(1e6))
        with pytest.raises(ExportError, match=r"^the table has values beyond float16 \("):
            export_model(source, tmp_path / "artifact", variants=["float16"])
        assert not (tmp_path / "artifact").exists()


class TestTokenTypeIds:
    @pytest.mark.parametrize("graph", ["onnx/model.onnx", "onnx/model_q4.onnx"])
    def test_may_be_fed_or_left_out(self, graph: str, accepting: Path) -> None:
        without = run_graph(accepting / graph)
        for value in (0, 1):
            fed = run_graph(accepting / graph, token_type_ids=np.array([[value]]))
            for name, output in without.items():
                np.testing.assert_array_equal(fed[name], output)

    def test_the_runtime_gives_the_same(self, accepting: Path, together: Path) -> None:
        assert verify(accepting).texts == 64
        expected = StaticEmbedder.load(together).encode(TEXTS)
        np.testing.assert_array_equal(StaticEmbedder.load(accepting).encode(TEXTS), expected)

    def test_is_an_error_to_feed_unless_asked_for(self, together: Path) -> None:
        refused = ort.capi.onnxruntime_pybind11_state.InvalidArgument
        with pytest.raises(refused, match="token_type_ids"):
            run_graph(together / "onnx" / "model.onnx", token_type_ids=np.array([[0]]))

    def test_single_file_loads(self, model: Path, tmp_path: Path) -> None:
        folder = export_model(model, tmp_path / "artifact", token_type_ids=True, single_file=True)
        assert verify(folder).texts == 64


class TestCommandLine:
    def test_export_and_info(self, portvec: RunPortvec, model: Path, tmp_path: Path) -> None:
        done = portvec("export", model, "-o", "a", "--variants", "float32, int8,float16", "--token-type-ids")
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr.startswith("a: 800 x 24 float32 + float16 + int8, ")
        lines = portvec("info", "a").stdout.splitlines()
        also = [line for line in lines if line.startswith("also")]
        assert [line.split(", ")[0] for line in also] == [
            "also float16   onnx/model_fp16.onnx",
            "also int8      onnx/model_quantized.onnx",
        ]
        assert "cosine to float32 0." in also[1]
        assert len(onnx.load(tmp_path / "a" / "onnx" / "model.onnx").graph.input) == 3

    def test_unknown_type(self, portvec: RunPortvec, model: Path) -> None:
        done = portvec("export", model, "-o", "a", "--variants", "float32,q8")
        assert done.returncode == 2
        assert done.stderr.startswith("portvec: error: Invalid value for '--variants': 'q8' is not one of ")
