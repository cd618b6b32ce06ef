"""Layers in a manifest: those that no artifact has are refused, whatever its other files are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import static_folders
from damage import edit
from portvec import StaticEmbedder, verify
from portvec._artifact.layers import describe_layers, has_unit_length
from portvec._artifact.manifest import Manifest
from portvec._artifact.manifest_parsing import parse_manifest
from portvec.errors import ArtifactError
from portvec_export import export_model

DENSE = {"type": "dense", "inputs": 24, "outputs": 24, "activation": "tanh", "residual": False}
UNIT = {"type": "unit_length", "least": 1e-12}
LEAD = r"^here: layers: "


@pytest.fixture
def read(tiny: Path) -> Callable[..., Manifest]:
    """Parse the manifest of an artifact with 24 dimensions, in version 2 and with other fields."""
    document = json.loads((tiny / "portvec.json").read_text())

    def parse(**fields: Any) -> Manifest:
        return parse_manifest(json.dumps({**document, "format_version": 2, **fields}), "here")

    return parse


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({}, r"^here: field layers has type dict, expected list; export the model again$"),
        (["dense"], LEAD + "0 has type str, expected dict; export again$"),
        ([[]], LEAD + "0 has type list, expected dict; export again$"),
        ([{}], LEAD + "0: field type is missing; export the model again$"),
        ([{"type": 1}], LEAD + "0: field type has type int, expected str; export the model again$"),
        (
            [{"type": "attention"}],
            LEAD + "0: type 'attention' is unknown, expected one of dense, unit_length, dynamic_tanh$",
        ),
        ([DENSE, {**DENSE, "inputs": 5}], LEAD + "1: inputs is 5, expected 24, the width before it; export"),
        ([{**DENSE, "outputs": 5}, DENSE], LEAD + "1: inputs is 24, expected 5, the width before it; export"),
        ([{**DENSE, "outputs": 0}], LEAD + "0: outputs is 0, expected 1 to 2147483647; export again$"),
        ([{**DENSE, "outputs": -1}], LEAD + "0: outputs is -1, expected 1 to 2147483647; export again$"),
        ([{**DENSE, "outputs": 2**31}], LEAD + "0: outputs is 2147483648, expected 1 to 2147483647; export"),
        ([{**DENSE, "outputs": True}], LEAD + "0: field outputs has type bool, expected int"),
        ([{**DENSE, "inputs": 24.0}], LEAD + "0: field inputs has type float, expected int"),
        ([{**DENSE, "inputs": None}], LEAD + "0: field inputs has type NoneType, expected int"),
        (
            [{**DENSE, "activation": "swish"}],
            LEAD + "0: activation 'swish' is unknown, expected one of identity, relu, tanh, sigmoid, gelu$",
        ),
        ([{**DENSE, "residual": 1}], LEAD + "0: field residual has type int, expected bool"),
        ([UNIT, {"type": "unit_length"}], LEAD + "1: field least is missing; export the model again$"),
        ([{**UNIT, "least": 0.0}], LEAD + r"0: least is 0\.0, expected a positive number; export again$"),
        ([{**UNIT, "least": -1.0}], LEAD + r"0: least is -1\.0, expected a positive number; export again$"),
        ([{**UNIT, "least": "1"}], LEAD + "0: field least has type str, expected float"),
        ([UNIT] * 1001, "^here: has 1001 layers, expected at most 1000; export again$"),
        (
            [{**DENSE, "outputs": 5}],
            "^here: dim is 24, expected 5, what the layers make of table_dim; export again$",
        ),
    ],
)
def test_layers_that_no_artifact_has(read: Callable[..., Manifest], layers: Any, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        read(layers=layers)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"table_dim": 25}, r"^here: dim is 24, expected 25, that of the table \(table_dim\); export again$"),
        ({"table_dim": 0}, "^here: table_dim is 0, expected 1 to 2147483647; export again$"),
        ({"table_dim": "24"}, "^here: field table_dim has type str, expected int"),
        ({"table_dim": 7, "layers": [DENSE]}, LEAD + "0: inputs is 24, expected 7, the width before it; exp"),
        (
            {"layers": [UNIT], "head": {"activation": "identity", "classes": None, "outputs": 2}},
            "^here: has a head and layers, expected at most one of them; export again$",
        ),
        (
            {"format_version": 1, "layers": [UNIT]},
            "^here: has layers, which format version 1 does not have; export the model again$",
        ),
        (
            {"format_version": 3},
            "^here: artifact format version 3, but this portvec reads versions 1 and 2; ",
        ),
    ],
)
def test_fields_that_do_not_fit(read: Callable[..., Manifest], fields: Any, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        read(**fields)


def test_layers_are_read_as_they_were_written(read: Callable[..., Manifest]) -> None:
    layers = [{**DENSE, "outputs": 7}, {"type": "dynamic_tanh"}, {**DENSE, "inputs": 7, "outputs": 3}, UNIT]
    manifest = read(layers=layers, dim=3, table_dim=24)
    assert (manifest.layers, manifest.dim, manifest.table_dim) == (layers, 3, 24)
    assert manifest.format_version == 2
    assert parse_manifest(manifest.to_json(), "again") == manifest


def test_an_artifact_without_layers_has_the_version_that_older_readers_know(
    read: Callable[..., Manifest], tiny: Path
) -> None:
    text = (tiny / "portvec.json").read_text()
    assert json.loads(text)["format_version"] == 1
    assert not {"layers", "table_dim"} & json.loads(text).keys()
    for manifest in (read(), read(layers=[], table_dim=24)):
        assert (manifest.table_dim, manifest.layers, manifest.to_json()) == (24, [], text)


@pytest.mark.parametrize(
    ("layers", "normalize", "words", "is_unit"),
    [
        ([], True, "", True),
        ([], False, "", False),
        ([UNIT], False, "unit length", True),
        ([{"type": "dynamic_tanh"}], False, "dynamic tanh", False),
        ([DENSE], True, "unit length, dense 24 to 24 with tanh", False),
        (
            [{**DENSE, "residual": True, "activation": "identity"}, UNIT],
            False,
            "dense 24 to 24 and a residual connection, unit length",
            True,
        ),
    ],
)
def test_in_words(
    read: Callable[..., Manifest], layers: Any, normalize: bool, words: str, is_unit: bool
) -> None:
    manifest = read(layers=layers, normalize=normalize)
    assert describe_layers(manifest) == words
    assert has_unit_length(manifest) == is_unit


def test_forged_widths_do_not_replace_what_is_stored(tiny: Path) -> None:
    """A manifest may not claim layers that the graph does not have: its output has another width."""
    wide = {**DENSE, "outputs": 2**31 - 1}
    edit(tiny, lambda m: m.update(format_version=2, dim=2**31 - 1, table_dim=24, layers=[wide]))
    with pytest.raises(
        ArtifactError, match=r"portvec\.graph: not a portvec graph, expected .* of dimension "
    ):
        StaticEmbedder.load(tiny)


WIDER = [{**DENSE, "outputs": 2**30}, {**DENSE, "inputs": 2**30}]
FORGED: dict[str, tuple[dict[str, Any], str]] = {
    "no layers": ({"layers": []}, r"layers\.0\.bias is \(24,\), expected none"),
    "no fields of version 2": (
        {"format_version": 1, "layers": ..., "table_dim": ..., "prompts": ..., "default_prompt_name": ...},
        r"layers\.0\.bias is \(24,\), expected none",
    ),
    "a layer more": ({"layers": [DENSE, DENSE]}, r"layers\.1\.weight is none, expected \(24, 24\)"),
    "another kind": (
        {"layers": [{"type": "dynamic_tanh"}]},
        r"layers\.0\.alpha is none, expected \(24,\)",
    ),
    "a residual": (
        {"layers": [{**DENSE, "residual": True}]},
        r"layers\.0\.residual is none, expected \(24, 24\)",
    ),
    "a table of another width": (
        {"table_dim": 48, "layers": [{**DENSE, "inputs": 48}]},
        r"layers\.0\.weight is \(24, 24\), expected \(24, 48\)",
    ),
    "wide layers": ({"layers": WIDER}, r"layers\.0\.bias is \(24,\), expected \(1073741824,\)"),
}


@pytest.fixture(scope="module")
def layered_artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layered")
    source = static_folders.save(folder / "model", "wordpiece", static_folders.dense(24, 24))
    return export_model(source, folder / "artifact", semantics="sentence-transformers", variants=["int8"])


@pytest.mark.parametrize("name", FORGED)
def test_layers_that_the_graph_does_not_have(name: str, layered_artifact: Path, tmp_path: Path) -> None:
    fields, message = FORGED[name]
    folder = Path(shutil.copytree(layered_artifact, tmp_path / "artifact"))
    assert StaticEmbedder.load(folder).encode("the value").any()

    def change(manifest: dict[str, Any]) -> None:
        manifest.update(fields)
        for field in [key for key, value in fields.items() if value is ...]:
            manifest.pop(field, None)

    edit(folder, change)
    message = (
        rf"portvec\.graph: the shape of the tensor {message} for the layers of portvec\.json; "
        "do not use this artifact, or export the model again$"
    )
    for read in (StaticEmbedder.load, verify):
        with pytest.raises(ArtifactError, match=message):
            read(folder)
