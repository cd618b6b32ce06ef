"""Damaged and foreign sources: one clear error that names the file; the target stays untouched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tiny_models
from folders import contents, names
from portvec.errors import SourceError
from portvec_export import export_model


def tensors(change: Callable[[dict[str, np.ndarray]], object]) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        path = folder / "model.safetensors"
        content = {name: array.copy() for name, array in load_file(path).items()}
        change(content)
        save_file(content, path)

    return apply


def config(**values: Any) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return apply


def write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def rename(old: str, new: str) -> Callable[[dict[str, np.ndarray]], object]:
    return lambda content: content.update({new: content.pop(old)})


def transformer(content: dict[str, np.ndarray]) -> None:
    content.clear()
    for name in ("embeddings.word_embeddings.weight", "encoder.layer.0.attention.self.query.weight"):
        content[name] = np.zeros((2, 2), np.float32)


def cut(name: str, keep: float) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * keep)])

    return apply


def vocabulary(change: Callable[[dict[str, int]], object]) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        path = folder / "tokenizer.json"
        tokenizer = json.loads(path.read_text(encoding="utf-8"))
        change(tokenizer["model"]["vocab"])
        path.write_text(json.dumps(tokenizer))

    return apply


def tokenizer(kind: tiny_models.Kind, **model: Any) -> Callable[[Path], object]:
    """Replace the tokenizer by one of another kind, with other properties of its model."""

    def apply(folder: Path) -> None:
        state = json.loads(tiny_models.tokenizer(kind).to_str())
        state["model"] |= model
        (folder / "tokenizer.json").write_text(json.dumps(state))

    return apply


def without_vocabulary(folder: Path) -> None:
    tensors(lambda content: content.update(mapping=np.zeros(5, np.int64)))(folder)
    path = folder / "tokenizer.json"
    state = json.loads(path.read_text(encoding="utf-8"))
    state["model"]["vocab"], state["added_tokens"] = {}, []
    path.write_text(json.dumps(state))


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no tensors": (
        lambda folder: (folder / "model.safetensors").unlink(),
        r"model: not a Model2Vec model, which has model\.safetensors, config\.json, tokenizer\.json, or",
    ),
    "cut tensors": (cut("model.safetensors", 0.7), r"model\.safetensors: not a complete safetensors file \("),
    "empty tensors": (
        write("model.safetensors", b""),
        r"model\.safetensors: not a complete safetensors file",
    ),
    "page of HTML": (
        write("model.safetensors", b"<html>" * 99),
        r"model\.safetensors: not a complete safetensors",
    ),
    "other tensor name": (
        tensors(rename("embeddings", "vectors")),
        r"model\.safetensors: expected the tensor 'embeddings', has vectors; is it a Model2Vec model\?",
    ),
    "transformer": (
        tensors(transformer),
        r"model\.safetensors: a transformer \(2 tensors: embeddings.*\), expected .* distill it first with",
    ),
    "one dimension": (
        tensors(lambda content: content.update(embeddings=content["embeddings"][:, 0].copy())),
        r"the embeddings have shape \(800,\), expected \(rows, dimensions\)",
    ),
    "no dimension": (
        tensors(lambda content: content.update(embeddings=np.zeros((800, 0), np.float32))),
        r"the embeddings have shape \(800, 0\), expected \(rows, dimensions\)",
    ),
    "rows of another model": (
        tensors(lambda content: content.update(embeddings=tiny_models.vectors(799))),
        r"tokenizer\.json has 800 tokens, but .*model\.safetensors has 799 rows; the two files belong to",
    ),
    "row of NaN": (
        tensors(lambda content: content["embeddings"].__setitem__((3, 0), np.nan)),
        r"model\.safetensors: NaN or infinity in 1 embedding rows \(first: 3\); repair the model",
    ),
    "mapping beyond the table": (
        tensors(lambda content: content.update(mapping=np.full(800, 800))),
        r"the token mapping points to rows 800 to 800, but the table has rows 0 to 799; repair the model",
    ),
    "negative mapping": (
        tensors(lambda content: content.update(mapping=np.full(800, -1))),
        r"the token mapping points to rows -1 to -1, but the table has rows 0 to 799",
    ),
    "mapping of floats": (
        tensors(lambda content: content.update(mapping=np.zeros(800, np.float32))),
        r"the token mapping is float32 \(800,\), expected integers \(token ids,\)",
    ),
    "short mapping": (
        tensors(lambda content: content.update(mapping=np.zeros(799, np.int64))),
        r"tokenizer\.json: token ids up to 799, but model\.safetensors has vectors for 0 to 798; the two",
    ),
    "short weights": (
        tensors(lambda content: content.update(weights=np.ones(799, np.float32))),
        r"expected 800 finite token weights, got float32 \(799,\); repair the model",
    ),
    "NaN weight": (
        tensors(lambda content: content.update(weights=np.full(800, np.nan, np.float32))),
        r"expected 800 finite token weights, got float32 \(800,\)",
    ),
    "gap in the vocabulary": (
        vocabulary(lambda vocab: vocab.update({max(vocab, key=lambda token: vocab[token]): 900})),
        r"tokenizer\.json: token ids up to 900, but model\.safetensors has vectors for 0 to 799; the two",
    ),
    "two tokens with one id": (
        vocabulary(lambda vocab: vocab.update(the=vocab["a"])),
        r"tokenizer\.json: the tokens 'a' and 'the' have the same id \d+; give each its own$",
    ),
    "no tokens": (
        without_vocabulary,
        r"tokenizer\.json: the vocabulary is empty; is it a Model2Vec model\?$",
    ),
    "no unknown token": (
        tokenizer("wordpiece", unk_token="<unk>"),
        r"tokenizer\.json: the tokenizer fails on unknown characters \(WordPiece error: .*\); repair the",
    ),
    "no unknown token in WordLevel": (
        tokenizer("wordlevel", unk_token="<unk>"),
        r"tokenizer\.json: the tokenizer fails on unknown characters \(WordLevel error: .*\); repair the",
    ),
    "no unknown id": (
        tokenizer("unigram", unk_id=None),
        r"tokenizer\.json: the tokenizer fails on unknown characters \(Encountered an unknown .*\); repair",
    ),
    "tokenizer of another kind of file": (
        write("tokenizer.json", b'{"add_prefix_space": true}'),
        r"tokenizer\.json: not a tokenizer that can be loaded \(",
    ),
    "cut tokenizer": (
        cut("tokenizer.json", 0.5),
        r"tokenizer\.json: not valid JSON \(.*fetch the model again",
    ),
    "tokenizer in another encoding": (
        write("tokenizer.json", b"\xff\xfe{}"),
        r"tokenizer\.json: not valid JSON",
    ),
    "configuration that is a list": (
        write("config.json", b"[]"),
        r"config\.json: expected a JSON object, got list",
    ),
    "cut configuration": (cut("config.json", 0.5), r"config\.json: not valid JSON"),
    "max_length as text": (
        config(max_length="512"),
        r"config\.json: max_length is '512', expected a whole number from 1 to 2147483647, or",
    ),
    "max_length below zero": (
        config(max_length=-5),
        r"config\.json: max_length is -5, expected a whole number from",
    ),
    "max_length of zero": (
        config(max_length=0),
        r"config\.json: max_length is 0, expected a whole number from 1",
    ),
    "max_length beyond int32": (
        config(max_length=2**31),
        r"config\.json: max_length is 2147483648, expected a whole number from 1 to 2147483647",
    ),
    "max_length beyond any integer": (
        config(max_length=10**30),
        r"config\.json: max_length is 1000000000000000000000000000000, expected a whole number",
    ),
    "max_length as a float": (
        config(max_length=1e30),
        r"config\.json: max_length is 1e\+30, expected a whole number",
    ),
    "normalize as text": (
        config(normalize="yes"),
        r"config\.json: normalize is 'yes', expected true or false; correct",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, tmp_path: Path) -> None:
    break_it, message = FAULTS[name]
    source = tiny_models.save(tmp_path / "model")
    target = export_model(source, tmp_path / "artifact")
    before = contents(target)
    break_it(source)
    for output, overwrite in ((tmp_path / "new", False), (target, True)):
        with pytest.raises(SourceError, match=message) as caught:
            export_model(source, output, overwrite=overwrite)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()
    assert contents(target) == before
    assert names(tmp_path) == ["artifact", "model"]


def test_table_larger_than_memory(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny_model / "model.safetensors"
    size = path.stat().st_size
    monkeypatch.setattr("portvec_export._source.tensors._total_memory", lambda: size - 1)
    message = (
        rf"model\.safetensors: {size:,} bytes, but this machine has {size - 1:,} bytes of memory; export on"
    )
    with pytest.raises(SourceError, match=message):
        export_model(tiny_model, tmp_path / "artifact")


def test_memory_that_runs_out(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("portvec_export._source.tensors.safe_open", fail)
    with pytest.raises(
        SourceError, match=r"model\.safetensors: [\d,]+ bytes, which do not fit in memory; export"
    ):
        export_model(tiny_model, tmp_path / "artifact")


def test_header_that_claims_more_than_the_file_has(tiny_model: Path, tmp_path: Path) -> None:
    path = tiny_model / "model.safetensors"
    shape = [2**40, 2**10]
    tensor = {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * shape[0] * shape[1]]}
    header = json.dumps({"embeddings": tensor}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"0123")
    with pytest.raises(SourceError, match=r"model\.safetensors: not a complete safetensors file \("):
        export_model(tiny_model, tmp_path / "artifact")


def test_files_of_two_models(tmp_path: Path) -> None:
    source = tiny_models.save(tmp_path / "model")
    other = tiny_models.save(tmp_path / "other", "unigram")
    shutil.copy(other / "tokenizer.json", source / "tokenizer.json")
    size = len(load_file(other / "model.safetensors")["embeddings"])
    save_file({"embeddings": tiny_models.vectors(size + 1)}, source / "model.safetensors")
    with pytest.raises(SourceError, match=rf"tokenizer\.json has {size} tokens, but .* has {size + 1} rows;"):
        export_model(source, tmp_path / "artifact")
