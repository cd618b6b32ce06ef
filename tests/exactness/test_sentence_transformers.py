"""semantics="sentence-transformers": the ids and vectors of SentenceTransformer, for every kind of folder.

The reference is written down a second time in tests/support/static_folders.py. `make test-exhaustive`
compares with the library itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import static_folders
import texts
import tiny_models
from comparison import compare
from corpus import paragraphs
from portvec import Model2VecEmbeddingFunction, StaticEmbedder, verify
from portvec._inference.verify import relative_differences
from portvec.errors import OptionError, SourceError
from portvec_export import export_model
from static_folders import (
    DROPOUT,
    NEW_PACKAGE,
    NORMALIZE,
    PACKAGE,
    Case,
    Module,
    Reference,
    dense,
    save,
    save_modules,
)

TEXTS = [*paragraphs(120), *texts.ADVERSARIAL]
OURS = "sentence-transformers"


def load(source: Path, semantics: Any = OURS, **options: Any) -> StaticEmbedder:
    return StaticEmbedder.load(source, semantics=semantics, **options)


def export(source: Path, folder: Path, semantics: Any = OURS, **options: Any) -> Path:
    return export_model(source, folder, semantics=semantics, **options)


class Prompted:
    """An embedder that always puts the same prompt before texts."""

    def __init__(self, embedder: StaticEmbedder, prompt_name: str | None) -> None:
        self._embedder, self._name = embedder, prompt_name

    def tokenize(self, texts: list[str]) -> Any:
        return self._embedder.tokenize(texts, prompt_name=self._name)

    def encode(self, texts: list[str]) -> Any:
        return self._embedder.encode(texts, prompt_name=self._name)


@pytest.mark.parametrize("case", static_folders.CASES, ids=lambda case: case.name)
def test_ids_and_vectors(case: Case, tmp_path: Path) -> None:
    source = case.build(tmp_path / "model")
    artifact = export(source, tmp_path / "artifact")
    assert verify(artifact).largest_difference <= 1e-6
    for tokenizer in ("auto", "tokenizers"):
        embedder = StaticEmbedder.load(artifact, tokenizer=tokenizer)
        assert embedder.manifest.reference == OURS
        for name in case.prompt_names:
            used = embedder.manifest.default_prompt_name if name is None else name
            reference: Any = Reference(source, embedder.prompts[used] if used else "")
            ours: Any = Prompted(embedder, name)
            for few in ([*TEXTS], TEXTS[:5]):
                found = compare(ours, reference, few)
                assert not found.id_mismatches
                assert found.worst <= 1e-6, few[int(found.differences.argmax())][:200]
            alone = np.stack([embedder.encode(text, prompt_name=name) for text in TEXTS])
            assert relative_differences(alone, reference.encode(TEXTS)).max() <= 1e-6


@pytest.mark.parametrize("dtype", ["float16", "int8", "int4"])
def test_smaller_tables_keep_the_rules(dtype: str, tmp_path: Path) -> None:
    source = save(tmp_path / "model", "wordpiece", dense(24, 16), NORMALIZE, truncation={"max_length": 9})
    embedder = load(source, dtype=dtype)
    reference = Reference(source)
    assert embedder.tokenize(TEXTS).lists() == reference.tokenize(TEXTS)
    cosines = (embedder.encode(TEXTS) * reference.encode(TEXTS)).sum(axis=1)
    assert cosines.min() > (0.9 if dtype == "int4" else 0.999)


def test_unknown_tokens_count(tmp_path: Path) -> None:
    source = save(tmp_path / "model")
    theirs, model2vecs = (load(source, each) for each in (OURS, "model2vec"))
    assert model2vecs.tokenize(["the ꙮ"]).lists() == [theirs.tokenize(["the"]).lists()[0]]
    unk = tiny_models.tokenizer("wordpiece").token_to_id("[UNK]")
    assert theirs.tokenize(["the ꙮ"]).lists()[0][-1] == unk
    assert theirs.manifest.unk_id is None
    assert theirs.encode("ꙮ").any()


def test_limits_are_those_of_the_tokenizer(tmp_path: Path) -> None:
    long = "value " * 5000
    for limit in (None, 700):
        source = save(tmp_path / f"{limit}", truncation={"max_length": limit} if limit else None)
        options: list[tuple[dict[str, Any], int | None]] = [
            ({}, limit),
            ({"max_length": 3}, 3),
            ({"max_length": None}, None),
        ]
        for given, tokens in options:
            embedder = load(source, **given)
            assert (embedder.manifest.max_length, embedder.manifest.max_characters) == (tokens, None)
            assert len(embedder.tokenize([long]).ids) == (tokens or 5000)


def test_normalize_alone_is_the_fast_form(tmp_path: Path) -> None:
    source = save(tmp_path / "model", "wordpiece", DROPOUT, NORMALIZE)
    manifest = load(source).manifest
    assert (manifest.format_version, manifest.normalize, manifest.layers) == (1, True, [])
    raw = load(source, normalize=False)
    assert not raw.manifest.normalize


@pytest.mark.parametrize("norm", [5e-11, 3e-13])
def test_vectors_that_normalize_does_not_reach(norm: float, tmp_path: Path) -> None:
    """Normalize divides by no less than 1e-12, which the mean of longer vectors may be short of."""
    tokenizer = tiny_models.tokenizer("wordpiece")
    table = tiny_models.vectors(tokenizer.get_vocab_size())
    first, second = (tokenizer.token_to_id(token) for token in ("the", "value"))
    table[first] *= norm / np.linalg.norm(table[first])
    table[second] = table[first] * -1.001
    source = save(tmp_path / "model", "wordpiece", NORMALIZE, table=table)
    artifact = export(source, tmp_path / "artifact")
    assert verify(artifact).largest_difference <= 1e-6
    embedder, few = StaticEmbedder.load(artifact), ["the value", "the", "value", "the value the", ""]
    expected = Reference(source).encode(few)
    assert np.linalg.norm(expected[0]) < 0.5
    for got in (embedder.encode(few), np.stack([embedder.encode(text) for text in few])):
        np.testing.assert_allclose(got, expected, rtol=2e-6)
    assert not load(source, normalize=False).manifest.layers
    assert load(source, dim=8).manifest.layers == [{"type": "unit_length", "least": 1e-12}]


def test_dimensions_are_cut_where_nothing_follows(tmp_path: Path) -> None:
    source = save(tmp_path / "model", truncate_dim=7)
    embedder = load(source)
    assert embedder.dim == 7
    expected = Reference(source).encode(TEXTS)[:, :7]
    assert relative_differences(embedder.encode(TEXTS), expected.astype(np.float32)).max() <= 1e-6
    assert load(source, dim=5).dim == 5
    assert load(save(tmp_path / "other", truncate_dim=99)).dim == 24


def test_new_paths_of_classes_and_configurations(tmp_path: Path) -> None:
    config = {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"}
    short = dense(24, 16)
    further = [
        Module("Normalize", config, package=f"{NEW_PACKAGE}normalize."),
        Module(
            "Dense", {**(short.config or {}), **config, "activation_function": "torch.nn.Tanh"}, short.tensors
        ),
    ]
    source = save(tmp_path / "model", "wordpiece", *further)
    got = load(source).encode(TEXTS)
    same = save(tmp_path / "same", "wordpiece", NORMALIZE, short)
    assert relative_differences(got, Reference(same).encode(TEXTS).astype(np.float32)).max() <= 1e-6


def test_folder_of_model2vec_with_settings_of_sentence_transformers(tmp_path: Path) -> None:
    source = tiny_models.save(tmp_path / "model", max_length=3)
    save_modules(source, dense(24, 16))
    settings = {"prompts": {"query": "find: "}, "default_prompt_name": "query"}
    (source / "config_sentence_transformers.json").write_text(json.dumps(settings))
    embedder = load(source)
    assert (embedder.dim, embedder.prompts) == (16, {"query": "find: ", "document": ""})
    reference: Any = Reference(source, "find: ")
    assert compare(embedder, reference, TEXTS).worst <= 1e-6
    assert set(embedder.manifest.source.sha256) == {
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "modules.json",
        "config_sentence_transformers.json",
        "1_Dense/config.json",
        "1_Dense/model.safetensors",
    }


def test_the_layer_of_sse(tmp_path: Path) -> None:
    source = save(tmp_path / "model", "wordpiece", NORMALIZE)
    rng = np.random.default_rng(3)
    alpha, beta, bias = (rng.standard_normal(24).astype(np.float32) for _ in range(3))
    tensors = {"embedding.weight": tiny_models.vectors(800), "dyt.alpha": alpha, "dyt.beta": beta}
    save_file({**tensors, "dyt.bias": bias}, source / "model.safetensors")
    path = source / "modules.json"
    path.write_text(path.read_text().replace(f"{PACKAGE}StaticEmbedding", "sse.SSE"))
    with pytest.raises(
        SourceError, match=r"modules\.json: has the module SSE, which model2vec ignores; pass"
    ):
        export_model(source, tmp_path / "artifact")
    embedder = load(source)
    assert [layer["type"] for layer in embedder.manifest.layers] == ["dynamic_tanh", "unit_length"]
    plain = Reference(save(tmp_path / "plain")).encode(TEXTS)
    rows = beta * np.tanh(alpha * plain + bias)
    expected = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    assert relative_differences(embedder.encode(TEXTS), expected).max() <= 1e-6


def test_a_change_of_a_module_converts_again(tmp_path: Path) -> None:
    source = save(tmp_path / "model", "wordpiece", dense(24, 16))
    before = load(source).encode("the value")
    (source / "1_Dense" / "config.json").write_text(json.dumps({"in_features": 24, "out_features": 16}))
    assert np.array_equal(load(source).encode("the value"), before)
    config = {"in_features": 24, "out_features": 16, "activation_function": "torch.nn.ReLU"}
    (source / "1_Dense" / "config.json").write_text(json.dumps(config))
    assert not np.array_equal(load(source).encode("the value"), before)


def test_an_artifact_says_how_it_was_read(tmp_path: Path) -> None:
    source = save(tmp_path / "model")
    for has, asked in [(OURS, "model2vec"), ("model2vec", OURS), (OURS, "projector")]:
        artifact = export(source, tmp_path / "artifact", has, overwrite=True)
        load(artifact, has)
        with pytest.raises(SourceError) as caught:
            load(artifact, asked)
        assert str(caught.value) == (
            f"{artifact}: an artifact exported with semantics {has!r}, but {asked!r} was asked for; export "
            f"the model again with semantics={asked!r}"
        )


def test_options_that_do_not_fit_modules(tmp_path: Path) -> None:
    source = save(tmp_path / "model", "wordpiece", dense(24, 16))
    refused: list[dict[str, Any]] = [{"dim": 8}, {"normalize": True}]
    for options in refused:
        with pytest.raises(OptionError, match="has layers after the mean, which were trained"):
            export(source, tmp_path / "artifact", **options)
    embed = Model2VecEmbeddingFunction(source, semantics=OURS)
    assert embed.dim == 16
