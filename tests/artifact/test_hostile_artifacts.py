"""Artifacts made to do harm: nothing outside the folder is read, nothing runs that should not."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from damage import edit, replace_file
from folders import contents
from portvec import StaticEmbedder, verify
from portvec._artifact.folder import Artifact, open_artifact
from portvec._artifact.manifest import Manifest
from portvec._inference.graph_validation import check_graph
from portvec.errors import ArtifactError
from portvec_export import export_model
from project import FUZZ

FIELDS = ["format", "format_version", "source", "files", "dim", "dtype", "head", "max_length"]


GRAPHS = ["portvec.graph", "portvec.single.graph", "onnx/model.onnx"]


def rewrite_graph(folder: Path, name: str, change: Callable[[onnx.ModelProto], object]) -> None:
    """Change a graph and fix the manifest, as an attacker would."""
    model = onnx.load_model_from_string((folder / name).read_bytes())
    change(model)
    replace_file(folder, name, model.SerializeToString())


def set_external(name: str, value: str) -> Callable[[onnx.ModelProto], object]:
    def change(model: onnx.ModelProto) -> None:
        tensor = next(t for t in model.graph.initializer if t.external_data)
        next(entry for entry in tensor.external_data if entry.key == name).value = value

    return change


def set_domain(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.microsoft"


def add_opset(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def add_branch(model: onnx.ModelProto) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("If", ["masked"], ["x"], then_branch=body, else_branch=body))


def add_loop(model: onnx.ModelProto) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["masked"], ["x"], body=body))


def add_scan(*nodes: onnx.NodeProto) -> Callable[[onnx.ModelProto], object]:
    """A Scan is allowed; what it repeats is checked like the rest."""

    def change(model: onnx.ModelProto) -> None:
        body = helper.make_graph(nodes, "body", [], [])
        model.graph.node.append(helper.make_node("Scan", ["x"], ["y"], body=body, num_scan_inputs=1))

    return change


INNER_SCAN = helper.make_node(
    "Scan", ["x"], ["y"], body=helper.make_graph([], "body", [], []), num_scan_inputs=1
)


def add_function(model: onnx.ModelProto) -> None:
    model.functions.append(helper.make_function("x", "F", [], [], [], [helper.make_opsetid("", 14)]))


def add_sparse(model: onnx.ModelProto) -> None:
    values = numpy_helper.from_array(np.ones(1, np.float32), "s")
    indices = numpy_helper.from_array(np.zeros(1, np.int64))
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2]))


def add_constant_with_external_data(model: onnx.ModelProto) -> None:
    tensor = TensorProto(name="c", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


HOSTILE: dict[str, tuple[Callable[[onnx.ModelProto], object], str]] = {
    "absolute external data": (set_external("location", "/etc/passwd"), "external data in b'/etc/passwd'"),
    "external data above": (
        set_external("location", "../../secret"),
        r"external data in b'\.\./\.\./secret'",
    ),
    "external data in another file": (
        set_external("location", "model.onnx"),
        "external data in b'model.onnx'",
    ),
    "external data in a constant": (add_constant_with_external_data, "external data in b'/etc/passwd'"),
    "operator of another domain": (set_domain, "operators of the domain b'com.microsoft'"),
    "operator set of another domain": (add_opset, "operators of the domain b'com.microsoft'"),
    "branch": (add_branch, r"a subgraph \(a loop or condition\)"),
    "loop": (add_loop, r"a subgraph \(a loop or condition\)"),
    "scan within a scan": (add_scan(INNER_SCAN), r"a subgraph \(a loop or condition\)"),
    "operator of another domain in a scan": (
        add_scan(helper.make_node("F", ["x"], ["y"], domain="com.microsoft")),
        "operators of the domain b'com.microsoft'",
    ),
    "function": (add_function, "functions or training information"),
    "sparse tensor": (add_sparse, "sparse tensors"),
}


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("name", HOSTILE)
def test_graph_is_refused_before_onnxruntime_sees_it(name: str, graph: str, tiny: Path) -> None:
    change, message = HOSTILE[name]
    rewrite_graph(tiny, graph, change)
    with pytest.raises(
        ArtifactError, match=f"{graph}: holds {message}, which no portvec artifact has; do not"
    ):
        verify(tiny)
    if graph != "onnx/model.onnx":
        with pytest.raises(ArtifactError, match=f"holds {message}, which"):
            StaticEmbedder.load(tiny).encode("a text")


@pytest.mark.parametrize(
    ("key", "value"), [("offset", "99999999"), ("length", "99999999999"), ("offset", "-8")]
)
def test_external_data_beyond_its_file(tiny: Path, key: str, value: str) -> None:
    rewrite_graph(tiny, "portvec.graph", set_external(key, value))
    with pytest.raises(ArtifactError, match=r"onnxruntime cannot load this graph \("):
        StaticEmbedder.load(tiny)


def test_graph_that_the_manifest_does_not_list_is_not_used(tiny: Path) -> None:
    expected = StaticEmbedder.load(tiny).encode("the value")
    edit(tiny, lambda manifest: manifest["files"].pop("portvec.single.graph"))
    (tiny / "portvec.single.graph").write_bytes(b"not a graph")
    np.testing.assert_allclose(StaticEmbedder.load(tiny).encode("the value"), expected, rtol=0, atol=2e-7)


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
    assert StaticEmbedder.load(tiny).tokenizer == "tokenizers, caching words"
    with pytest.raises(ArtifactError, match="nanotoken does not give this model's token ids"):
        StaticEmbedder.load(tiny, tokenizer="nanotoken")


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege")
class TestLinks:
    @pytest.mark.parametrize("name", ["onnx/model.onnx_data", "tokenizer.json", "onnx"])
    def test_linked_file_or_folder(self, tiny: Path, tmp_path: Path, name: str) -> None:
        (tiny / name).rename(tmp_path / "elsewhere")
        (tiny / name).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(
            ArtifactError, match="a link, which may lead out of the artifact; copy the folder with"
        ):
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


def test_damaged_graphs_with_a_fitting_manifest_never_crash(tiny: Path) -> None:
    original = (tiny / "portvec.graph").read_bytes()
    rng = random.Random(3)
    for _ in range(300):
        damaged = bytearray(original)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        replace_file(tiny, "portvec.graph", bytes(damaged))
        with suppress(ArtifactError):
            StaticEmbedder.load(tiny).encode(["the value", ""])


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
            Manifest.from_json(json.dumps(document), "fuzz")
        if isinstance(document, dict):  # the same fields, read beyond the header
            headed = {**document, "format": "portvec", "format_version": 1}
            with pytest.raises(ArtifactError, match=r"^fuzz: .*(field|dtype|dim|vocabulary|max_|file|head)"):
                Manifest.from_json(json.dumps(headed), "fuzz")

    def test_manifest_with_one_field_replaced(self, tiny: Path) -> None:
        manifest = json.loads((tiny / "portvec.json").read_text())
        scalars = st.none() | st.booleans() | st.integers() | st.text()

        @settings(max_examples=300 * FUZZ, deadline=None)
        @given(st.sampled_from(sorted(manifest)), scalars | st.dictionaries(st.text(), scalars, max_size=2))
        def replace(field: str, value: Any) -> None:
            problem = None
            try:
                parsed = Manifest.from_json(json.dumps({**manifest, field: value}), "fuzz")
            except ArtifactError as error:
                problem = str(error)
            if problem is None:
                assert Manifest.from_json(parsed.to_json(), "again") == parsed
            else:
                assert problem.startswith("fuzz: ")
                assert field.replace("format_version", "format version") in problem

        replace()

    def test_graph_reader(self, tiny: Path, tmp_path: Path) -> None:
        original = (tiny / "onnx" / "model.onnx").read_bytes()
        artifact = Artifact(tmp_path, open_artifact(tiny).manifest)

        @settings(max_examples=500 * FUZZ, deadline=None)
        @given(st.binary(max_size=200), st.integers(0, len(original)), st.integers(0, 50))
        def read(inserted: bytes, position: int, removed: int) -> None:
            (tmp_path / "graph").write_bytes(original[:position] + inserted + original[position + removed :])
            with suppress(ArtifactError):
                check_graph(artifact, "graph", "model.onnx_data")

        read()

    def test_damaged_tokenizer(self, tiny: Path) -> None:
        original = (tiny / "tokenizer.json").read_bytes()
        change = st.tuples(st.integers(0, len(original) - 1), st.integers(0, 255))

        @settings(max_examples=200 * FUZZ, deadline=None)
        @given(st.lists(change, min_size=1, max_size=3))
        def damage(changes: list[tuple[int, int]]) -> None:
            damaged = bytearray(original)
            for position, byte in changes:
                damaged[position] = byte
            replace_file(tiny, "tokenizer.json", bytes(damaged))
            with suppress(ArtifactError):
                StaticEmbedder.load(tiny).encode(["the value of a", "\x00é漢🙂", ""])

        damage()
