"""Folders of sentence-transformers that do more than model2vec reads: refused, unless the user says how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model2vec import StaticModel

import tiny_models
from command_line import RunPortvec
from corpus import paragraphs
from hub_server import LocalHub
from portvec import StaticEmbedder
from portvec.errors import OptionError, SourceError
from portvec_export import export_model

OLD = "sentence_transformers.models."
NEW = "sentence_transformers.sentence_transformer.modules."


def module(name: str, path: str = "", package: str = OLD) -> dict[str, str]:
    return {"idx": "0", "name": "0", "path": path, "type": f"{package}{name}"}


def save(folder: Path, *, nested: bool = False, modules: Any = None, **config: Any) -> Path:
    """Write a folder of sentence-transformers. `modules` follow StaticEmbedding, or are the whole file."""
    tiny_models.save_sentence_transformers(folder, nested=nested)
    first = module("StaticEmbedding", "0_StaticEmbedding" if nested else "")
    content = modules if isinstance(modules, str) else json.dumps([first, *(modules or [])])
    (folder / "modules.json").write_text(content)
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
    return folder


ASK = (
    "pass semantics='sentence-transformers' for what sentence-transformers gives, or semantics='model2vec' "
    "to read the model as model2vec does, without"
)
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "Dense": (
        {"modules": [module("Dense", "1_Dense")]},
        rf"modules\.json: has the module Dense, which model2vec ignores; {ASK} it$",
    ),
    "Dense, then Normalize": (
        {"modules": [module("Dense", "1_Dense"), module("Normalize", "2_Normalize")]},
        r"modules\.json: has the module Dense, which model2vec ignores",
    ),
    "a module of another package": (
        {"modules": [module("Layer", "1_Layer", "custom.")]},
        r"modules\.json: has the module Layer, which model2vec ignores",
    ),
    "Normalize": (
        {"modules": [module("Normalize", "1_Normalize")]},
        r"modules\.json: has the module Normalize, but config_sentence_transformers\.json does not "
        rf"normalize; {ASK} it$",
    ),
    "Normalize of new versions": (
        {"modules": [module("normalize.Normalize", "1_Normalize", NEW)]},
        r"modules\.json: has the module Normalize, but",
    ),
    "prompts": (
        {"prompts": {"query": "query: ", "document": "", "other": "x"}},
        r"config_sentence_transformers\.json: sentence-transformers puts prompts before texts "
        rf"\(other, query\); {ASK} them$",
    ),
    "default prompt": (
        {"prompts": {"query": "query: "}, "default_prompt_name": "query"},
        r"sentence-transformers puts prompts before texts \(query\)",
    ),
    "fewer dimensions": (
        {"truncate_dim": 8},
        rf"config_sentence_transformers\.json: truncate_dim is 8, which model2vec ignores; {ASK} it$",
    ),
    "a second table": (
        {"modules": [module("StaticEmbedding", "1_StaticEmbedding")]},
        rf"modules\.json: has the module StaticEmbedding, which model2vec ignores; {ASK} it$",
    ),
    "Normalize of another package": (
        {"modules": [module("Normalize", "1_Normalize", "custom.")], "normalize": True},
        rf"modules\.json: has the module custom\.Normalize, whose code model2vec ignores; {ASK} it$",
    ),
}


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("name", REFUSED)
def test_what_model2vec_ignores(name: str, nested: bool, tmp_path: Path) -> None:
    options, message = REFUSED[name]
    source = save(tmp_path / "model", nested=nested, **options)
    expected = StaticModel.from_pretrained(source).encode(paragraphs(20))
    for read in (StaticEmbedder.load(source, semantics="model2vec"), None):
        if read is not None:
            np.testing.assert_allclose(read.encode(paragraphs(20)), expected, rtol=2e-6, atol=1e-6)
        with pytest.raises(SourceError, match=message):
            export_model(source, tmp_path / "artifact")
        with pytest.raises(SourceError, match=message):  # although the cache has a conversion of the folder
            StaticEmbedder.load(source)
    assert export_model(source, tmp_path / "artifact", semantics="model2vec").is_dir()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prompts": {"query": "", "document": ""}, "default_prompt_name": None},
        {"prompts": None},
        {"modules": [module("Normalize", "1_Normalize")], "normalize": True},
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_what_changes_nothing(options: dict[str, Any], nested: bool, tmp_path: Path) -> None:
    source = save(tmp_path / "model", nested=nested, **options)
    expected = StaticModel.from_pretrained(source).encode(paragraphs(20))
    got = StaticEmbedder.load(source).encode(paragraphs(20))
    np.testing.assert_allclose(got, expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("normalize", [True, False])
def test_normalize_decides_whether_its_module_counts(normalize: bool, tmp_path: Path) -> None:
    source = save(tmp_path / "model", modules=[module("Normalize", "1_Normalize")])
    got = StaticEmbedder.load(source, normalize=normalize).encode(paragraphs(20))
    expected = StaticModel.from_pretrained(source, normalize=normalize).encode(paragraphs(20))
    np.testing.assert_allclose(got, expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ("{", r"modules\.json: not a list of modules \("),
        ("[1]", r"modules\.json: not a list of modules \("),
        ('[{"path": ""}]', r"modules\.json: not a list of modules \('type'\)"),
        ("[]", r"modules\.json: has the module nothing, expected"),
        (
            json.dumps([module("Transformer")]),
            r"modules\.json: has the module Transformer, expected StaticEmbedding first; is it a static",
        ),
        (
            json.dumps([module("StaticEmbedding"), module("Dense", "../elsewhere")]),
            r"modules\.json: the folder '\.\./elsewhere' of Dense is not inside the model's; do not use",
        ),
        (
            json.dumps([module("StaticEmbedding", "0_StaticEmbedding")]),
            r"StaticEmbedding is in the folder '0_StaticEmbedding', but model2vec reads model\.safe",
        ),
    ],
)
def test_faulty_modules(modules: str, message: str, tmp_path: Path) -> None:
    source = save(tmp_path / "model", modules=modules)
    with pytest.raises(SourceError, match=message):
        export_model(source, tmp_path / "artifact")


def test_faulty_prompts(tmp_path: Path) -> None:
    faults: list[tuple[Any, str]] = [
        (["query: "], r"prompts is \['query: '\], expected an object; correct it"),
        ({"query": 1}, r"the prompt 'query' is 1, expected a text; correct it"),
        ({"query": "\ud800"}, r"the prompt 'query' is '\\ud800', expected a text; correct it"),
        ({"a\ud800": "x"}, r"the prompt 'a\\ud800' has a lone surrogate in its name; correct it"),
    ]
    for number, (prompts, message) in enumerate(faults):
        source = save(tmp_path / f"{number}", prompts=prompts)
        for semantics in (None, "sentence-transformers"):
            with pytest.raises(SourceError, match=message):
                export_model(source, tmp_path / "artifact", semantics=semantics)


def test_folders_of_model2vec_keep_to_their_own_configuration(tmp_path: Path) -> None:
    for normalize in (True, False):
        source = tiny_models.save(tmp_path / f"{normalize}", normalize=normalize)
        assert (source / "modules.json").is_file()
        assert StaticEmbedder.load(source).manifest.normalize == normalize


def test_another_first_class(tmp_path: Path) -> None:
    source = save(tmp_path / "model", modules=json.dumps([module("StaticEmbedding", package="my_code.")]))
    message = rf"has the module my_code\.StaticEmbedding, whose code model2vec ignores; {ASK} it$"
    with pytest.raises(SourceError, match=message):
        export_model(source, tmp_path / "artifact")
    assert export_model(source, tmp_path / "artifact", semantics="model2vec").is_dir()


FIRST = module("StaticEmbedding", ".")
MODEL2VEC: dict[str, tuple[Any, dict[str, Any], str]] = {
    "Dense": (
        [FIRST, module("Dense", "1_Dense")],
        {},
        rf"modules\.json: has the module Dense, which model2vec ignores; {ASK} it$",
    ),
    "prompts": (
        [FIRST],
        {"prompts": {"query": "query: "}},
        r"config_sentence_transformers\.json: sentence-transformers puts prompts before texts \(query\); "
        rf"{ASK} them$",
    ),
    "truncate_dim": ([FIRST], {"truncate_dim": 8}, rf"truncate_dim is 8, which model2vec ignores; {ASK} it$"),
}


@pytest.mark.parametrize("name", MODEL2VEC)
def test_folders_of_model2vec_with_more(name: str, tmp_path: Path) -> None:
    modules, settings, message = MODEL2VEC[name]
    source = tiny_models.save(tmp_path / "model")
    assert StaticEmbedder.load(source).dim == 24
    (source / "modules.json").write_text(json.dumps(modules))
    (source / "config_sentence_transformers.json").write_text(json.dumps(settings))
    with pytest.raises(SourceError, match=message):
        export_model(source, tmp_path / "artifact")
    with pytest.raises(SourceError, match=message):  # although the cache has a conversion of the folder
        StaticEmbedder.load(source)
    expected = StaticModel.from_pretrained(source).encode(paragraphs(20))
    got = StaticEmbedder.load(source, semantics="model2vec").encode(paragraphs(20))
    np.testing.assert_allclose(got, expected, rtol=2e-6, atol=1e-6)


def test_unknown_semantics(tmp_path: Path) -> None:
    with pytest.raises(
        OptionError,
        match=r"^semantics 'clip' is unknown, expected one of model2vec, projector, sentence-transformers$",
    ):
        export_model(tmp_path, tmp_path / "artifact", semantics="clip")  # type: ignore[arg-type]


def test_on_the_hub(portvec_process: RunPortvec, hub: LocalHub, tmp_path: Path) -> None:
    source = save(tmp_path / "model", nested=True, modules=[module("Dense", "1_Dense")])
    hub.add_folder("owner/model", source)
    for _ in range(2):  # fetched, and in the cache
        refused = portvec_process("embed", "owner/model", "x", HF_ENDPOINT=hub.url)
        assert refused.returncode == 1
        assert "has the module Dense, which model2vec ignores; pass --semantics" in refused.stderr
    done = portvec_process("embed", "owner/model", "x", "--semantics", "model2vec", HF_ENDPOINT=hub.url)
    assert done.returncode == 0, done.stderr


def test_modules_are_fetched_although_another_tool_left_them_out(
    portvec_process: RunPortvec, hub: LocalHub, tmp_path: Path
) -> None:
    source = save(tmp_path / "model", nested=True)
    hub.add_folder("owner/model", source)
    assert portvec_process("embed", "owner/model", "x", HF_ENDPOINT=hub.url).returncode == 0
    cached = [path for path in tmp_path.rglob("modules.json") if "snapshots" in path.parts]
    assert len(cached) == 1
    cached[0].unlink()
    for folder in tmp_path.rglob("models/owner--model--*"):
        folder.rename(folder.with_name("moved"))
    assert portvec_process("embed", "owner/model", "x", HF_ENDPOINT=hub.url).returncode == 0
    assert cached[0].is_file()
