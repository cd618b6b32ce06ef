"""What an artifact cannot express of a sentence-transformers folder, and damage: refused by name."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import tiny_models
from command_line import RunPortvec
from hub_server import LocalHub
from portvec import StaticEmbedder
from portvec.errors import SourceError
from portvec_export import export_model
from static_folders import NORMALIZE, PACKAGE, Module, dense, save, save_modules

WITHOUT = r"pass semantics='model2vec' to read the model as model2vec does$"
DENSE = dense(24, 16)


def changed(**config: Any) -> Module:
    """Return a Dense module with other settings; `...` removes one."""
    kept = {name: value for name, value in {**(DENSE.config or {}), **config}.items() if value is not ...}
    return Module("Dense", kept, DENSE.tensors)


def without(*names: str, **further: Any) -> Module:
    """Return a Dense module with other tensors."""
    tensors = {name: tensor for name, tensor in DENSE.tensors.items() if name not in names}
    return Module("Dense", DENSE.config, {**tensors, **further})


MODULES: dict[str, tuple[Module, str]] = {
    "a custom class": (
        Module("Dense", DENSE.config, DENSE.tensors, package="custom."),
        rf"modules\.json: has the module custom\.Dense, expected Normalize, Dense or Dropout; {WITHOUT}",
    ),
    "LayerNorm": (
        Module("LayerNorm", {"dimension": 24}),
        r"has the module sentence_transformers\.models\.LayerNorm, expected Normalize, Dense or",
    ),
    "input": (
        changed(module_input_name="token_embeddings"),
        r"1_Dense/config\.json: module_input_name is 'token_embeddings', but an artifact can express only "
        r"'sentence_embedding'; use this model in sentence-transformers$",
    ),
    "output": (
        Module("Normalize", {"module_output_name": "other"}),
        r"1_Normalize/config\.json: module_output_name is 'other', but an artifact can",
    ),
    "activation": (
        changed(activation_function="torch.nn.modules.activation.SiLU"),
        r"1_Dense/config\.json: activation_function 'torch\.nn\.modules\.activation\.SiLU' is unknown, "
        r"expected one of torch\.nn\.modules\.linear\.Identity, torch\.nn\.modules\.activation\.ReLU, ",
    ),
    "activation of a package": (
        changed(activation_function="custom.Tanh"),
        r"activation_function 'custom\.Tanh' is unknown, expected one of torch\.nn",
    ),
    "activation null": (changed(activation_function=None), r"activation_function None is unknown, expected"),
    "activation a list": (changed(activation_function=["x"]), r"activation_function \['x'\] is unknown"),
    "width": (
        changed(in_features=23),
        r"1_Dense/config\.json: in_features is 23, expected 24, the width before it; repair the model$",
    ),
    "no width": (
        changed(out_features=...),
        r"out_features is None, expected a whole number from 1; repair the model$",
    ),
    "bias": (changed(bias="yes"), r"config\.json: bias is 'yes', expected true or false; correct the file$"),
    "no weights": (
        Module("Dense", DENSE.config),
        r"1_Dense/model\.safetensors: missing, and portvec does not read pytorch_model\.bin, which is "
        r"pickled; load the model with sentence-transformers, and save it again$",
    ),
    "a tensor too few": (
        without("linear.bias"),
        r"1_Dense/model\.safetensors: has linear\.weight \(16, 24\), expected linear\.bias \(16,\), "
        r"linear\.weight \(16, 24\); portvec knows no other form of this module, so fetch the model again, "
        r"or use it in sentence-transformers$",
    ),
    "a tensor too many": (
        without(other=np.zeros(3, np.float32)),
        r"has linear\.bias \(16,\), linear\.weight",
    ),
    "a shape": (
        without(**{"linear.weight": np.zeros((24, 16), np.float32)}),
        r"has linear\.bias \(16,\), linear\.weight \(24, 16\), expected",
    ),
    "NaN": (
        without(**{"linear.bias": np.full(16, np.nan, np.float32)}),
        r"1_Dense/model\.safetensors: the tensor 'linear\.bias' has NaN, infinity or a number beyond "
        r"float32; repair the model$",
    ),
    "float64 beyond float32": (
        without(**{"linear.bias": np.full(16, 1e300)}),
        r"the tensor 'linear\.bias' has NaN, infinity or a number beyond float32; repair",
    ),
    "integers": (
        without(**{"linear.bias": np.zeros(16, np.int32)}),
        r"the tensor 'linear\.bias' is int32, expected floating-point numbers; repair the model$",
    ),
    "outputs beyond float32": (
        without(**{"linear.weight": np.full((16, 24), 3e37, np.float32)}),
        r"modules\.json: outputs of layer 0 may be as large as",
    ),
}


def refuse(source: Path, message: str, folder: Path, **options: Any) -> None:
    with pytest.raises(SourceError, match=message):
        export_model(source, folder / "artifact", semantics="sentence-transformers", **options)
    assert not (folder / "artifact").exists()


@pytest.mark.parametrize("name", MODULES)
def test_modules(name: str, tmp_path: Path) -> None:
    module, message = MODULES[name]
    refuse(save(tmp_path / "model", "wordpiece", module), message, tmp_path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


FILES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "weights": (
        "1_Dense/model.safetensors",
        cut,
        r"1_Dense/model\.safetensors: not a complete safetensors file \(",
    ),
    "configuration": ("1_Dense/config.json", cut, r"1_Dense/config\.json: not valid JSON \("),
    "no configuration": ("1_Dense/config.json", Path.unlink, r"config\.json: in_features is None, expected"),
    "no modules": (
        "modules.json",
        Path.unlink,
        r"model: has no modules\.json, without which sentence-transformers does not read a static model; "
        r"leave out semantics='sentence-transformers'$",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_files(name: str, tmp_path: Path) -> None:
    file, damage, message = FILES[name]
    source = save(tmp_path / "model", "wordpiece", DENSE)
    damage(source / file)
    refuse(source, message, tmp_path)


SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "default prompt": (
        {"prompts": {"code": "x"}, "default_prompt_name": "cod"},
        r"config_sentence_transformers\.json: default_prompt_name 'cod' is unknown, expected one of query, "
        r"document, code$",
    ),
    "kind of model": (
        {"model_type": "SparseEncoder"},
        r"config_sentence_transformers\.json: model_type is 'SparseEncoder', expected 'SentenceTransformer'; "
        + WITHOUT,
    ),
    "truncate_dim": (
        {"truncate_dim": "8"},
        r"config_sentence_transformers\.json: truncate_dim is '8', expected a whole number from 1; correct",
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(name: str, tmp_path: Path) -> None:
    settings, message = SETTINGS[name]
    refuse(save(tmp_path / "model", **settings), message, tmp_path)


def test_dimensions_cut_after_modules(tmp_path: Path) -> None:
    for number, module in enumerate([NORMALIZE, DENSE]):
        source = save(tmp_path / f"{number}", "wordpiece", module, truncate_dim=8)
        refuse(source, r"truncate_dim is 8, which cuts what the modules give, and an artifact", tmp_path)


TRUNCATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "left": (
        {"max_length": 5, "direction": "left"},
        r"tokenizer\.json: truncation keeps the last tokens \(direction 'left'\), and an artifact the first; "
        r"correct the file, or pass max_length=None or a number to keep all or the first tokens$",
    ),
    "strategy": (
        {"max_length": 5, "strategy": "only_second"},
        r"tokenizer\.json: the tokenizer fails on texts of more than 5 tokens \(strategy 'only_second', "
        r"stride 0\); correct the file, or pass max_length=None or a number$",
    ),
    "nothing": (
        {"max_length": 0},
        r"tokenizer\.json: truncation keeps no tokens \(max_length 0\); correct the file, or pass "
        r"max_length=None or a number$",
    ),
}


@pytest.mark.parametrize("name", TRUNCATIONS)
def test_truncation(name: str, tmp_path: Path) -> None:
    truncation, message = TRUNCATIONS[name]
    refuse(save(tmp_path / "model", truncation=truncation), message, tmp_path)


def test_truncation_does_not_matter_if_another_is_asked_for(tmp_path: Path) -> None:
    source = save(tmp_path / "model", truncation=TRUNCATIONS["left"][0])
    embedder = StaticEmbedder.load(source, semantics="sentence-transformers", max_length=None)
    assert len(embedder.tokenize(["value " * 50]).ids) == 50


def test_modules_with_the_same_name(tmp_path: Path) -> None:
    source = save(tmp_path / "model", "wordpiece", NORMALIZE, DENSE)
    path = source / "modules.json"
    path.write_text(json.dumps([{**module, "name": "x"} for module in json.loads(path.read_text())]))
    message = (
        r"modules\.json: 3 modules have the name 'x', of which sentence-transformers keeps the last; give"
    )
    refuse(source, message, tmp_path)


@pytest.mark.parametrize("path", ["a\0b", "\ud800", "a\nb"])
def test_folders_of_modules_that_cannot_be_there(path: str, tmp_path: Path) -> None:
    source = tiny_models.save(tmp_path / "model")
    expected = StaticEmbedder.load(source).encode("the value")
    save_modules(source, NORMALIZE)
    listed = json.loads((source / "modules.json").read_text())
    listed[1]["path"] = path
    (source / "modules.json").write_text(json.dumps(listed))
    message = (
        rf"modules\.json: the folder {re.escape(repr(path))} of Normalize is not inside the model's; do not"
    )
    refuse(source, message, tmp_path)
    with pytest.raises(SourceError, match=message):
        StaticEmbedder.load(source, semantics="sentence-transformers")
    vector = StaticEmbedder.load(source, semantics="model2vec").encode("the value")
    np.testing.assert_array_equal(vector, expected)


def test_a_folder_of_a_module_with_too_long_a_name(tmp_path: Path) -> None:
    source = save(tmp_path / "model", "wordpiece", NORMALIZE)
    text = (source / "modules.json").read_text()
    (source / "modules.json").write_text(text.replace("1_Normalize", "x" * 300))
    refuse(source, r"model: cannot be read \(.+\); check the folder", tmp_path)


def test_integer_tables(tmp_path: Path) -> None:
    source = tiny_models.save(tmp_path / "model", vectors=(tiny_models.vectors(800) * 30).astype(np.int8))
    save_modules(source)
    message = r"model\.safetensors: the embeddings are int8, which sentence-transformers does not load; "
    refuse(source, message + WITHOUT, tmp_path)


def test_weights_beside_its_own_table_are_ignored(tmp_path: Path) -> None:
    source = save(tmp_path / "model")
    tensors = {"embedding.weight": tiny_models.vectors(800), "weights": np.zeros(800, np.float32)}
    save_file(tensors, source / "model.safetensors")
    assert StaticEmbedder.load(source, semantics="sentence-transformers").encode("the value").any()


def test_tables_of_both_libraries_in_one_file(tmp_path: Path) -> None:
    source = tiny_models.save(tmp_path / "model")
    tensors = {"embeddings": tiny_models.vectors(800), "embedding.weight": tiny_models.vectors(800) * 2}
    save_file(tensors, source / "model.safetensors")
    message = (
        r"model/model\.safetensors: has the tensors 'embeddings' and 'embedding\.weight', of which "
        r"sentence-transformers reads the second and model2vec the first; remove one of them$"
    )
    refuse(source, message, tmp_path)


def test_on_the_hub(portvec_process: RunPortvec, hub: LocalHub, tmp_path: Path) -> None:
    source = save(tmp_path / "model", "wordpiece", DENSE, NORMALIZE, nested=True, prompts={"query": "find: "})
    local = portvec_process("embed", source, "x", "--semantics", "sentence-transformers")
    assert local.returncode == 0, local.stderr
    hub.add_folder("owner/model", source)
    settings: list[dict[str, Any]] = [{"HF_ENDPOINT": hub.url}, {"HF_HUB_OFFLINE": "1"}]
    for variables in settings:
        done = portvec_process(
            "embed", "owner/model", "x", "--semantics", "sentence-transformers", **variables
        )
        assert (done.returncode, done.stdout) == (0, local.stdout), done.stderr


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors"])
def test_a_cache_without_files_of_modules(
    lost: str, portvec_process: RunPortvec, hub: LocalHub, tmp_path: Path
) -> None:
    source = save(tmp_path / "model", "wordpiece", NORMALIZE, DENSE)
    hub.add_folder("owner/model", source)

    def embed(semantics: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        settings = {"PORTVEC_CACHE": str(tmp_path / f"{semantics} {variables}"), **variables}
        return portvec_process("embed", "owner/model", "x", "--semantics", semantics, **settings)

    complete = embed("sentence-transformers", HF_ENDPOINT=hub.url)
    assert complete.returncode == 0, complete.stderr
    (file,) = (tmp_path / "home" / ".cache" / "huggingface").rglob(f"2_Dense/{lost}")
    file.unlink()
    offline = embed("sentence-transformers", HF_HUB_OFFLINE="1")
    assert (offline.returncode, offline.stderr) == (
        1,
        f"portvec: error: owner/model: the cache lacks 2_Dense/{lost}, and HF_HUB_OFFLINE is set; unset it "
        "once to download the model\n",
    )
    assert embed("model2vec", HF_HUB_OFFLINE="1").returncode == 0  # which reads no modules
    online = portvec_process(
        "export", "owner/model", "-o", "artifact", "--semantics", "sentence-transformers", HF_ENDPOINT=hub.url
    )
    assert online.returncode == 0, online.stderr
    assert file.is_file()


def test_the_module_of_another_first_class(tmp_path: Path) -> None:
    source = save(tmp_path / "model")
    for kind in ("Router", "Transformer"):
        modules = [{"idx": 0, "name": "0", "path": "", "type": PACKAGE + kind}]
        (source / "modules.json").write_text(json.dumps(modules))
        refuse(source, rf"has the module {kind}, expected StaticEmbedding first; is it a static", tmp_path)
    modules = [{"idx": 0, "name": "0", "path": "", "type": "custom.StaticEmbedding"}]
    (source / "modules.json").write_text(json.dumps(modules))
    message = (
        r"has the module custom\.StaticEmbedding, expected sentence_transformers\.models\.StaticEmbedding; "
        + WITHOUT
    )
    refuse(source, message, tmp_path)
