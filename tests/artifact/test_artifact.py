"""Damaged and foreign artifacts: loading or verifying refuses them, and says why."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import tiny_models
from damage import edit, leave_to_tokenizers, replace_file
from portvec import StaticEmbedder, verify
from portvec._tokenization.backends.nanotoken import NanotokenEncoder
from portvec._vocabulary.token_ids import TokenIds
from portvec.errors import ArtifactError
from portvec_export import export_model

LISTED = [
    "onnx/model.onnx",
    "portvec.graph",
    "onnx/model.onnx_data",
    "tokenizer.json",
    "conformance.json",
    "config.json",
]


@pytest.mark.parametrize("name", LISTED)
def test_missing_file(tiny: Path, name: str) -> None:
    (tiny / name).unlink()
    with pytest.raises(ArtifactError, match=rf"{name}: missing, but listed in portvec\.json; copy the whole"):
        StaticEmbedder.load(tiny)


@pytest.mark.parametrize("name", LISTED)
def test_truncated_file(tiny: Path, name: str) -> None:
    path = tiny / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=rf"{name}: [\d,]+ bytes, but portvec\.json lists [\d,]+; copy"):
        StaticEmbedder.load(tiny)


@pytest.mark.parametrize("name", LISTED)
def test_flipped_bit_is_found_by_verify(tiny: Path, name: str) -> None:
    content = bytearray((tiny / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tiny / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"{name}: content differs from what was exported \(SHA-256\)"):
        verify(tiny)


def test_folder_without_manifest(tiny: Path) -> None:
    (tiny / "portvec.json").unlink()
    with pytest.raises(
        ArtifactError, match=r"no portvec\.json, so this is not a portvec artifact; make one with"
    ):
        verify(tiny)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: m.update(format_version=3),
            "artifact format version 3, but this portvec reads versions 1 and 2; up",
        ),
        (lambda m: m.update(format="other"), 'not a portvec manifest, "format" is not "portvec"'),
        (lambda m: m.pop("dim"), "field dim is missing; export the model again"),
        (lambda m: m.update(dim="256"), "field dim has type str, expected int"),
        (lambda m: m.update(dim=True), "field dim has type bool, expected int"),
        (lambda m: m.update(dim=0), "dim is 0, expected 1 to 2147483647"),
        (lambda m: m.update(normalize=1), "field normalize has type int, expected bool"),
        (lambda m: m.update(dtype="int3"), "dtype 'int3' is unknown, expected one of float32, float16"),
        (lambda m: m.update(max_length=-1), "max_length is -1, expected 0 to 9007199254740991"),
        (lambda m: m.update(unk_id=800), "unk_id is 800, expected less than vocabulary_size, which is 800"),
        (lambda m: m["source"].pop("id"), "source: field id is missing"),
        (lambda m: m["files"].pop("tokenizer.json"), r"files does not list 'tokenizer\.json'"),
        (
            lambda m: m["files"].update({"../x": {"size": 1, "sha256": ""}}),
            r"path '\.\./x' leaves the artifact",
        ),
        (
            lambda m: m["files"].update({"/etc/x": {"size": 1, "sha256": ""}}),
            "path '/etc/x' leaves the artifact",
        ),
        (
            lambda m: m["files"].update({"C:\\x": {"size": 1, "sha256": ""}}),
            "leaves the artifact folder; do not",
        ),
        (
            lambda m: m["files"].update({"a\x1b[2J": {"size": 1, "sha256": ""}}),
            r"path 'a\\x1b\[2J' has characters that cannot be printed; do not use",
        ),
        (lambda m: m["files"].update({"a": []}), "files: field a has type list, expected dict"),
        (lambda m: m.update(text_inputs=[]), "field text_inputs has type list, expected dict"),
        (lambda m: m.update(text_inputs={"strings": 1}), "text_inputs: field strings has type int, expected"),
        (lambda m: m.update(text_inputs={"bytes": "x"}), "text_inputs: kind 'bytes' is unknown, expected"),
        (
            lambda m: m.update(text_inputs={"strings": "onnx/x.onnx"}),
            "files does not list 'onnx/x.onnx'; export the model again",
        ),
        (lambda m: m["files"].update({"a": {"size": 1}}), "files: a: field sha256 is missing"),
    ],
)
def test_invalid_manifest(tiny: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    edit(tiny, change)
    with pytest.raises(ArtifactError, match=rf"portvec\.json: .*{message}"):
        StaticEmbedder.load(tiny)


@pytest.mark.parametrize(
    "field", ["dim", "vocabulary_size", "vocabulary_quantization", "unk_id", "max_length", "max_characters"]
)
@pytest.mark.parametrize("value", [-1, -(2**63), 2**53, 2**63, 10**30])
def test_numbers_that_no_model_has(tiny: Path, field: str, value: int) -> None:
    edit(tiny, lambda manifest: manifest.update({field: value}))
    for load in (StaticEmbedder.load, verify):
        with pytest.raises(
            ArtifactError, match=rf"portvec\.json: {field} is {value}, expected [01] to \d+; export again$"
        ):
            load(tiny)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"portvec"'])
def test_manifest_that_is_no_json_object(tiny: Path, text: str) -> None:
    (tiny / "portvec.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"portvec\.json: not (valid JSON|a portvec manifest)"):
        StaticEmbedder.load(tiny)


def test_tokenizer_that_is_none(tiny: Path) -> None:
    replace_file(tiny, "tokenizer.json", b"{}")
    message = r"tokenizer\.json: not a tokenizer that can be loaded"
    with pytest.raises(ArtifactError, match=message):
        StaticEmbedder.load(tiny, tokenizer="tokenizers")
    assert StaticEmbedder.load(tiny, tokenizer="compiled").encode("the value").any()
    leave_to_tokenizers(tiny)
    with pytest.raises(ArtifactError, match=message):
        StaticEmbedder.load(tiny)


def test_graph_that_is_none(tiny: Path) -> None:
    replace_file(tiny, "onnx/model.onnx", b"not a graph")
    with pytest.raises(ArtifactError, match=r"model\.onnx: not an ONNX graph"):
        verify(tiny)
    replace_file(tiny, "portvec.graph", b"not a graph")
    with pytest.raises(ArtifactError, match=r"portvec\.graph: not an ONNX graph"):
        StaticEmbedder.load(tiny)


def test_graph_of_another_dimension(tiny: Path, tiny_model: Path, tmp_path: Path) -> None:
    other = export_model(tiny_model, tmp_path / "other", dim=7)
    replace_file(tiny, "portvec.graph", (other / "portvec.graph").read_bytes())
    message = (
        r"not a portvec graph, expected inputs token_ids tensor\(int32\) and block_bounds tensor\(int64\) "
        r"and tensor\(float\) output sentence_embedding of dimension 24, got .*7"
    )
    with pytest.raises(ArtifactError, match=message):
        StaticEmbedder.load(tiny)


@pytest.mark.parametrize("name", ["onnx/model.onnx", "onnx/model.onnx_data", "portvec.graph"])
def test_artifact_that_no_longer_gives_its_recorded_results(
    tiny: Path, tiny_model: Path, tmp_path: Path, name: str
) -> None:
    if name.endswith("data"):
        other = export_model(
            tiny_models.save(tmp_path / "x", vectors=tiny_models.vectors(801)[:800]), tmp_path / "y"
        )
    else:
        other = export_model(tiny_model, tmp_path / "other", normalize=False)
    replace_file(tiny, name, (other / name).read_bytes())
    message = r"embedding of recorded text \d+ differs by .* more than 1e-06"
    if name == "portvec.graph":  # that of means has an input more
        message = r"not a portvec graph, expected inputs .*, got inputs .*token_counts"
    with pytest.raises(ArtifactError, match=message):
        verify(tiny)


def test_other_recorded_ids(tiny: Path, tiny_model: Path, tmp_path: Path) -> None:
    other = export_model(tiny_model, tmp_path / "other", max_length=3)
    shutil.copy(other / "conformance.json", tiny / "conformance.json")
    record = json.loads((other / "portvec.json").read_text())["files"]["conformance.json"]
    edit(tiny, lambda m: m["files"].update({"conformance.json": record}))
    with pytest.raises(
        ArtifactError, match=r"recorded text \d+ has other token ids here .* check the version"
    ):
        verify(tiny)


def test_the_accelerator_that_loading_chooses_is_verified(
    bundled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[str] = []
    encode = NanotokenEncoder.encode

    def watch(self: NanotokenEncoder, texts: Sequence[str]) -> TokenIds:
        encoded.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(NanotokenEncoder, "encode", watch)
    recorded = verify(bundled).texts
    # When it is chosen, when ids are compared, and with the vectors, with and without optimizations. One by
    # one, texts are left to it if they have an added token or may be truncated.
    assert (1 + 1 + 2) * recorded < len(encoded) < (1 + 1 + 2 * 2) * recorded
    assert all(encoded.count(text) >= 1 + 1 + 2 for text in encoded)


def test_errors_are_one_line(tiny: Path) -> None:
    replace_file(tiny, "portvec.graph", b"")
    with pytest.raises(ArtifactError) as caught:
        StaticEmbedder.load(tiny)
    assert not re.search(r"\n", str(caught.value))
