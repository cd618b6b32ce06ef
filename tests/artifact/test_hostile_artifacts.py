"""Artifacts made to do harm: links, hidden files, ids beyond the table, damaged manifests and tokenizers."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damage import edit, leave_to_tokenizers, replace_file
from folders import contents
from portvec import StaticEmbedder, verify
from portvec._artifact.manifest_parsing import parse_manifest
from portvec.errors import ArtifactError
from portvec_export import export_model
from project import FUZZ

FIELDS = ["format", "format_version", "source", "files", "dim", "dtype", "head", "max_length", "layers"]


GRAPHS = ["portvec.graph", "onnx/model.onnx"]


def test_graph_that_the_manifest_does_not_list_is_not_used(tiny: Path) -> None:
    expected = StaticEmbedder.load(tiny).encode("the value")
    edit(tiny, lambda manifest: manifest["files"].pop("portvec.graph"))
    (tiny / "portvec.graph").write_bytes(b"not a graph")
    embedder = StaticEmbedder.load(tiny)
    np.testing.assert_array_equal(embedder.encode("the value"), expected)
    np.testing.assert_allclose(embedder.encode(["", "the value"])[1], expected, rtol=0, atol=2e-7)


def test_vocabulary_that_is_larger_than_the_table(tiny: Path) -> None:
    size = StaticEmbedder.load(tiny).manifest.vocabulary_size
    edit(tiny, lambda manifest: manifest.update(vocabulary_size=size + 1))  # one row more than there is
    embedder = StaticEmbedder.load(tiny)
    with pytest.raises(
        ArtifactError, match=r"onnxruntime fails on this graph \(.*; run 'portvec verify' on the"
    ):
        embedder.encode(["", "the value"])
    with pytest.raises(ArtifactError, match="onnxruntime fails on this graph"):
        verify(tiny)


def test_vocabulary_that_is_larger_than_the_file_of_the_table(tiny: Path) -> None:
    edit(tiny, lambda manifest: manifest.update(vocabulary_size=10**9))
    with pytest.raises(
        ArtifactError, match=r"vocabulary_size is 1000000000, but its table has \d+ bytes; copy"
    ):
        StaticEmbedder.load(tiny)


def change_id(folder: Path, token_id: int) -> None:
    """Give "the" another id, and fix the manifest, as an attacker would."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["model"]["vocab"]["the"] = token_id
    replace_file(folder, "tokenizer.json", json.dumps(tokenizer).encode())


# The last ones are -6, 0 and 5 in int32, so they would give the vector of another token.
@pytest.mark.parametrize("token_id", [800, 10**6, 2**31, 2**32 - 6, 2**32 - 1])
@pytest.mark.parametrize("load", ["tokenizers", "auto"])
def test_tokenizer_with_ids_beyond_the_table(tiny: Path, load: str, token_id: int) -> None:
    if load == "auto":
        leave_to_tokenizers(tiny)
    size = StaticEmbedder.load(tiny).manifest.vocabulary_size
    change_id(tiny, token_id)
    message = (
        rf"tokenizer\.json: has the token id {token_id}, but the table has vectors for 0 to {size - 1}; copy"
    )
    embedder = StaticEmbedder.load(tiny, tokenizer=load, threads=1)
    for texts in ("the", ["the"], ["a", "b the c"], ["the value " * 100] * 100):
        with pytest.raises(ArtifactError, match=message):
            embedder.encode(texts)
    with pytest.raises(ArtifactError, match=message):
        embedder.tokenize(["the"])
    assert embedder.encode(["a value"]).any()
    with pytest.raises(ArtifactError, match=message):
        verify(tiny)


def test_an_accelerator_gets_no_ids_beyond_the_table(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nanotoken")
    change_id(tiny, 2**32 - 6)  # memory for every id up to this one would be 68 GB
    monkeypatch.setattr("nanotoken.Tokenizer", lambda path: pytest.fail(f"{path} was loaded"))
    assert StaticEmbedder.load(tiny).tokenizer == "compiled"
    with pytest.raises(ArtifactError, match="nanotoken does not give this model's token ids"):
        StaticEmbedder.load(tiny, tokenizer="nanotoken")
    assert StaticEmbedder.load(leave_to_tokenizers(tiny)).tokenizer == "tokenizers, caching words"


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege")
class TestLinks:
    @pytest.mark.parametrize("name", ["onnx/model.onnx_data", "tokenizer.json", "portvec.vocabulary", "onnx"])
    def test_linked_file_or_folder(self, tiny: Path, tmp_path: Path, name: str) -> None:
        (tiny / name).rename(tmp_path / "elsewhere")
        (tiny / name).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(
            ArtifactError, match="a link, which may lead out of the artifact; copy the folder with"
        ):
            StaticEmbedder.load(tiny)

    @pytest.mark.parametrize(
        "name", ["portvec.json", "tokenizer.json", "portvec.vocabulary", "onnx/model.onnx_data"]
    )
    def test_link_to_a_missing_file(self, tiny: Path, name: str) -> None:
        """So files of the Hub's cache are left when only what they lead to was deleted."""
        (tiny / name).unlink()
        (tiny / name).symlink_to("gone")
        message = (
            "a link to a missing file; copy the whole" if name == "portvec.json" else "missing, but listed"
        )
        with pytest.raises(ArtifactError, match=f"{name}: {message}"):
            StaticEmbedder.load(tiny)

    def test_linked_artifact_folder_is_fine(self, tiny: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tiny)
        assert StaticEmbedder.load(tmp_path / "link").dim == 24

    def test_data_that_the_manifest_hides(self, tiny: Path) -> None:
        edit(tiny, lambda manifest: manifest["files"].pop("onnx/model.onnx_data"))
        (tiny / "onnx" / "model.onnx_data").rename(tiny / "x")
        (tiny / "onnx" / "model.onnx_data").symlink_to("/etc/passwd")
        with pytest.raises(ArtifactError, match=r"model\.onnx_data: not listed in portvec\.json"):
            StaticEmbedder.load(tiny)


def test_files_swapped_with_another_artifact(tiny: Path, tiny_model: Path, tmp_path: Path) -> None:
    other = export_model(tiny_model, tmp_path / "other", max_length=9, normalize=False)
    ours, theirs = contents(tiny), contents(other)
    listed = {"portvec.json", *json.loads(ours["portvec.json"])["files"]}
    different = {name for name in listed if theirs[name] != ours[name]}
    assert different >= {"config.json", "conformance.json", "portvec.json", "tokenizer.json", *GRAPHS}
    for name in sorted(different):
        (tiny / name).write_bytes(theirs[name])
        with pytest.raises(ArtifactError, match=r"portvec\.json lists|content differs from what"):
            verify(tiny)
        (tiny / name).write_bytes(ours[name])
    assert verify(tiny).texts == 64


def test_a_flipped_bit_in_any_byte_of_the_graph_is_refused_at_load(tiny: Path) -> None:
    path = tiny / "portvec.graph"
    original = path.read_bytes()
    for position in range(len(original)):
        damaged = bytearray(original)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(ArtifactError, match="content differs from what was exported"):
            StaticEmbedder.load(tiny)


@pytest.mark.fuzz
class TestFuzz:
    @settings(max_examples=300 * FUZZ, deadline=None)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner),
            max_leaves=15,
        )
    )
    def test_manifest_parser(self, document: Any) -> None:
        with pytest.raises(ArtifactError, match=r"^fuzz: "):
            parse_manifest(json.dumps(document), "fuzz")
        if isinstance(document, dict):  # the same fields, read beyond the header
            headed = {**document, "format": "portvec", "format_version": 1}
            with pytest.raises(ArtifactError, match=r"^fuzz: .*(field|dtype|dim|vocabulary|max_|file|head)"):
                parse_manifest(json.dumps(headed), "fuzz")

    @pytest.mark.parametrize("version", [1, 2])
    def test_manifest_with_one_field_replaced(self, version: int, tiny: Path) -> None:
        manifest = json.loads((tiny / "portvec.json").read_text())
        if version == 2:
            layers = [{"type": "unit_length", "least": 1e-12}]
            manifest = {**manifest, "format_version": 2, "table_dim": manifest["dim"], "layers": layers}
        scalars = st.none() | st.booleans() | st.integers() | st.text()

        @settings(max_examples=300 * FUZZ, deadline=None)
        @given(st.sampled_from(sorted(manifest)), scalars | st.dictionaries(st.text(), scalars, max_size=2))
        def replace(field: str, value: Any) -> None:
            problem = None
            try:
                parsed = parse_manifest(json.dumps({**manifest, field: value}), "fuzz")
            except ArtifactError as error:
                problem = str(error)
            if problem is None:
                assert parse_manifest(parsed.to_json(), "again") == parsed
            else:
                assert problem.startswith("fuzz: ")
                assert field.replace("format_version", "format version") in problem

        replace()

    def test_damaged_tokenizer(self, uncompiled: Path) -> None:
        original = (uncompiled / "tokenizer.json").read_bytes()
        change = st.tuples(st.integers(0, len(original) - 1), st.integers(0, 255))

        @settings(max_examples=200 * FUZZ, deadline=None)
        @given(st.lists(change, min_size=1, max_size=3))
        def damage(changes: list[tuple[int, int]]) -> None:
            damaged = bytearray(original)
            for position, byte in changes:
                damaged[position] = byte
            replace_file(uncompiled, "tokenizer.json", bytes(damaged))
            with suppress(ArtifactError):
                StaticEmbedder.load(uncompiled).encode(["the value of a", "\x00é漢🙂", ""])

        damage()
