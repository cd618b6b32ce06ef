"""Exports with graphs that take texts: what they write, and what they refuse."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tokenizers import Tokenizer

import tiny_models
from damage import edit, replace_file
from folders import contents
from portvec import verify
from portvec._artifact import format as fmt
from portvec._artifact.folder import open_artifact
from portvec.errors import ArtifactError, ExportError
from portvec_export import export_model
from portvec_export._text_input import assemble
from portvec_export._text_input.arrays.flat import Ids
from portvec_export._text_input.models import model
from stock_graphs import KINDS, StockGraph, prove_less


@pytest.fixture(autouse=True)
def _less_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    prove_less(monkeypatch)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact with both graphs; read-only by agreement."""
    folder = tmp_path_factory.mktemp("both")
    with pytest.MonkeyPatch.context() as patch:
        prove_less(patch)
        return export_model(tiny_models.save(folder / "tiny-model"), folder / "artifact", text_input=KINDS)


@pytest.fixture
def exported(both: Path, tmp_path: Path) -> Path:
    """An artifact with both graphs, free to damage."""
    return shutil.copytree(both, tmp_path / "artifact")


def test_the_files_and_their_place_in_the_manifest(exported: Path) -> None:
    manifest = open_artifact(exported).manifest
    assert manifest.text_inputs == fmt.TEXT_GRAPHS
    assert set(fmt.TEXT_GRAPHS.values()) < set(manifest.files)
    assert manifest.format_version == 1


def test_all_other_files_are_the_same_without(exported: Path, tiny_model: Path, tmp_path: Path) -> None:
    plain = contents(export_model(tiny_model, tmp_path / "plain"))
    found = contents(exported)
    assert "text_inputs" not in json.loads(plain[fmt.MANIFEST])
    changed = {fmt.MANIFEST, fmt.CARD}
    assert {name: found[name] for name in plain if name not in changed} == {
        name: content for name, content in plain.items() if name not in changed
    }
    assert set(found) - set(plain) == set(fmt.TEXT_GRAPHS.values())


def test_one_kind(tiny_model: Path, tmp_path: Path) -> None:
    folder = export_model(tiny_model, tmp_path / "artifact", text_input=["codepoints", "codepoints"])
    assert open_artifact(folder).manifest.text_inputs == {"codepoints": "onnx/model_codepoints.onnx"}
    assert not (folder / "onnx" / "model_text.onnx").exists()


def test_inputs_outputs_and_versions(exported: Path) -> None:
    inputs = {
        "strings": {"text": ("tensor(string)", ["batch_size"])},
        "codepoints": {"codepoints": ("tensor(int32)", ["batch_size", "characters"])},
    }
    for kind in KINDS:
        graph = StockGraph(exported, kind)
        assert graph.inputs == inputs[kind]
        assert graph.outputs == {
            "sentence_embedding": ("tensor(float)", ["batch_size", 24]),
            "input_ids": ("tensor(int64)", ["batch_size", "length"]),
        }
        model = onnx.load(exported / fmt.TEXT_GRAPHS[kind], load_external_data=False)
        domains = {entry.domain: entry.version for entry in model.opset_import}
        assert domains == {"": 18, **({"com.microsoft": 1} if kind == "strings" else {})}
        assert model.ir_version == 8
        assert not any(tensor.external_data for tensor in model.graph.initializer)


def test_negative_code_points_are_left_out_anywhere(exported: Path) -> None:
    graph = StockGraph(exported, fmt.CODE_POINTS)
    plain, mixed = (
        graph.ids_of_code_points([row]) for row in ([*b"the value"], [-1, *b"the va", -7, *b"lue"])
    )
    assert plain == mixed != [[]]


@pytest.mark.parametrize("number", [0x110000, 0x110001, 2**24, 2**31 - 1])
def test_numbers_above_all_code_points_fail(exported: Path, number: int) -> None:
    with pytest.raises(Exception, match="Out of range value in index"):
        StockGraph(exported, fmt.CODE_POINTS).ids_of_code_points([[97, number, 98]])


def test_the_same_export_gives_the_same_bytes(exported: Path, tiny_model: Path, tmp_path: Path) -> None:
    again = export_model(tiny_model, tmp_path / "again", text_input=KINDS)
    assert contents(again) == contents(exported)


def test_a_single_file_and_variants_may_have_them_too(tiny_model: Path, tmp_path: Path) -> None:
    folder = export_model(
        tiny_model, tmp_path / "artifact", single_file=True, variants=["int8"], text_input=["strings"]
    )
    assert StockGraph(folder, "strings").ids(["the value"]) != [[]]
    verify(folder)


def test_the_card_lists_them(exported: Path) -> None:
    card = (exported / fmt.CARD).read_text(encoding="utf-8")
    assert "## onnxruntime without a tokenizer" in card
    assert "| `onnx/model_text.onnx` |" in card


def refused(source: Path, target: Path) -> str:
    with pytest.raises(ExportError) as caught:
        export_model(source, target, text_input=["strings"])
    assert not target.exists()
    return str(caught.value)


def changed(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Return a model whose tokenizer.json is changed."""
    source = tiny_models.save(tmp_path / "source")
    path = source / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    change(tokenizer)
    path.write_text(json.dumps(tokenizer))
    return source


def test_what_a_graph_cannot_have_is_refused_by_name(tmp_path: Path) -> None:
    unknown = {"type": "Split", "pattern": {"Regex": "(?<=a)b+"}, "behavior": "Isolated", "invert": False}
    source = changed(tmp_path, lambda tokenizer: tokenizer.update(pre_tokenizer=unknown))
    message = refused(source, tmp_path / "artifact")
    assert message.startswith("text_input: a graph cannot have this model's tokenizer, because its ")
    assert message.endswith(
        "; leave out text_input (--text-input), and feed onnx/model.onnx with the ids of tokenizer.json"
    )


def test_a_graph_that_gives_another_id_is_refused(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = model.add_model

    def wrong(graph: Any, words: Any, tokenizer: Any) -> Ids:
        ids = original(graph, words, tokenizer)
        # The id of one rare character becomes that of another token.
        is_rare = graph.equal(ids.ids, graph.constant(rare))
        return Ids(graph.where(is_rare, graph.constant(other), ids.ids), ids.texts)

    tokenizer = Tokenizer.from_file(str(tiny_model / "tokenizer.json"))

    vocabulary = tokenizer.get_vocab()
    rare, other = np.int32(vocabulary["~"]), np.int32(vocabulary["a"])
    monkeypatch.setattr(assemble, "add_model", wrong)
    message = refused(tiny_model, tmp_path / "artifact")
    assert "because the text '~' would get other ids in the graph" in message


def test_a_damaged_text_graph_is_found(exported: Path) -> None:
    path = exported / fmt.TEXT_GRAPHS["strings"]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"model_text\.onnx: content differs from what was exported"):
        verify(exported)


def test_a_text_graph_of_another_model_is_found(exported: Path, tmp_path: Path) -> None:
    other = tiny_models.save(tmp_path / "other", "wordlevel")
    name = fmt.TEXT_GRAPHS["codepoints"]
    wrong = export_model(other, tmp_path / "wrong", text_input=["codepoints"])
    replace_file(exported, name, (wrong / name).read_bytes())
    with pytest.raises(ArtifactError, match="recorded text 0 has other token ids here than recorded"):
        verify(exported)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strings": "onnx/none.onnx"}, "files does not list 'onnx/none.onnx'; export"),
        ({"strings": ""}, "files does not list ''; export"),
        ({"bytes": "onnx/model_text.onnx"}, "text_inputs: kind 'bytes' is unknown, expected "),
        ({"strings": 5}, "text_inputs: field strings has type int, expected str"),
        ([], "field text_inputs has type list, expected dict"),
    ],
)
def test_a_manifest_with_wrong_text_inputs_is_refused(exported: Path, change: Any, message: str) -> None:
    edit(exported, lambda manifest: manifest.update(text_inputs=change))
    with pytest.raises(ArtifactError) as caught:
        open_artifact(exported)
    assert message in str(caught.value)


def test_tokenizers_that_are_stored_with_padding_and_truncation(tmp_path: Path) -> None:
    def store(tokenizer: dict[str, Any]) -> None:
        made = Tokenizer.from_str(json.dumps(tokenizer))
        made.enable_padding(length=20)
        made.enable_truncation(4)
        tokenizer.update(json.loads(made.to_str()))

    folder = export_model(changed(tmp_path, store), tmp_path / "artifact", text_input=["strings"])
    verify(folder)
    assert len(StockGraph(folder, "strings").ids(["the value of the object is a function"])[0]) > 4
