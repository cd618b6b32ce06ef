"""Folders of sentence-transformers with a StaticEmbedding and more, and what that library makes of texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import erf
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

import tiny_models

PACKAGE = "sentence_transformers.models."
NEW_PACKAGE = "sentence_transformers.sentence_transformer.modules."
TORCH = "torch.nn.modules."
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "linear.Identity": lambda x: x,
    "activation.ReLU": lambda x: np.maximum(x, 0),
    "activation.Tanh": np.tanh,
    "activation.Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "activation.GELU": lambda x: x * (1 + np.vectorize(erf)(x / 2**0.5)) / 2,
}


@dataclass(frozen=True)
class Module:
    """A module after the StaticEmbedding: its class, its configuration (None for no file), its tensors."""

    kind: str
    config: dict[str, Any] | None = None
    tensors: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    package: str = PACKAGE


NORMALIZE = Module("Normalize")
DROPOUT = Module("Dropout", {"dropout": 0.2})


def dense(
    inputs: int,
    outputs: int,
    activation: str | None = "activation.Tanh",
    *,
    bias: bool = True,
    residual: bool = False,
    dtype: str = "float32",
) -> Module:
    """Return a Dense module with random weights; with the activation None its configuration names none."""
    rng = np.random.default_rng(inputs * 1000 + outputs)
    config: dict[str, Any] = {"in_features": inputs, "out_features": outputs, "bias": bias}
    if activation is not None:
        config["activation_function"] = TORCH + activation
    if residual:
        config["use_residual"] = True
    shapes = {"linear.weight": (outputs, inputs)}
    shapes |= {"linear.bias": (outputs,)} if bias else {}  # type: ignore[dict-item]
    shapes |= {"residual.weight": (outputs, inputs)} if residual and inputs != outputs else {}
    tensors = {name: (rng.standard_normal(shape) / 4).astype(dtype) for name, shape in shapes.items()}
    return Module("Dense", config, tensors)


def save(
    folder: Path,
    kind: tiny_models.Kind = "wordpiece",
    *further: Module,
    nested: bool = False,
    truncation: dict[str, Any] | None = None,
    table: npt.NDArray[Any] | None = None,
    **settings: Any,
) -> Path:
    """Write a folder; `settings` are those of config_sentence_transformers.json."""
    tokenizer = tiny_models.tokenizer(kind)
    tokenizer.enable_padding(length=50)  # which is switched off
    if truncation is not None:
        tokenizer.enable_truncation(**truncation)
    rows = tiny_models.vectors(tokenizer.get_vocab_size()) if table is None else table
    inner = "0_StaticEmbedding" if nested else ""
    (folder / inner).mkdir(parents=True)
    tokenizer.save(str(folder / inner / "tokenizer.json"))
    save_file({"embedding.weight": rows}, folder / inner / "model.safetensors")
    config = {"model_type": "SentenceTransformer", "similarity_fn_name": "cosine", **settings}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(config))
    save_modules(folder, *further, first=inner)
    return folder


def save_modules(folder: Path, *further: Module, first: str = "") -> None:
    """Write modules.json, and the folders of the modules after the first, which is in the folder `first`."""
    listed = [{"idx": 0, "name": "0", "path": first, "type": f"{PACKAGE}StaticEmbedding"}]
    for number, module in enumerate(further, 1):
        path = f"{number}_{module.kind}"
        listed.append(
            {"idx": number, "name": str(number), "path": path, "type": module.package + module.kind}
        )
        if module.config is not None:
            (folder / path).mkdir()
            (folder / path / "config.json").write_text(json.dumps(module.config))
        if module.tensors:
            save_file(module.tensors, folder / path / "model.safetensors")
    (folder / "modules.json").write_text(json.dumps(listed))


class Reference:
    """What sentence-transformers computes from a folder, written down a second time.

    Means are formed in float32, because those of long texts differ in float64, and the rest in float64.
    """

    max_length = None

    def __init__(self, folder: Path, prompt: str = "") -> None:
        self._folder = folder
        self._prompt = prompt
        self._modules: list[dict[str, Any]] = json.loads((folder / "modules.json").read_text())
        inner = folder / self._modules[0]["path"]
        self._tokenizer = Tokenizer.from_file(str(inner / "tokenizer.json"))
        self._tokenizer.no_padding()
        tensors = load_file(inner / "model.safetensors")
        self._table = tensors.get("embedding.weight")
        if self._table is None:
            rows = tensors["embeddings"]
            rows = rows[tensors["mapping"]] if "mapping" in tensors else rows
            self._table = rows * tensors["weights"][:, None] if "weights" in tensors else rows

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        encoded = self._tokenizer.encode_batch(
            [self._prompt + text for text in texts], add_special_tokens=False
        )
        return [each.ids for each in encoded]

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        rows = np.array([self._mean(ids) for ids in self.tokenize(texts)])
        for module in self._modules[1:]:
            folder, kind = self._folder / module["path"], module["type"].rsplit(".", 1)[-1]
            if kind == "Normalize":
                rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
            elif kind == "Dense":
                rows = self._dense(folder, rows)
        return rows

    def _mean(self, ids: list[int]) -> npt.NDArray[np.float64]:
        assert self._table is not None
        mean = np.zeros(self._table.shape[1], dtype=np.float32)
        for token_id in ids:
            mean += self._table[token_id]
        return (mean / max(len(ids), 1)).astype(np.float64)

    def _dense(self, folder: Path, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        config = json.loads((folder / "config.json").read_text())
        tensors = {
            name: each.astype(np.float64) for name, each in load_file(folder / "model.safetensors").items()
        }
        linear = rows @ tensors["linear.weight"].T + tensors.get("linear.bias", 0)
        name = config.get("activation_function", TORCH + "activation.Tanh").removeprefix(TORCH)
        outputs = ACTIVATIONS[name](linear)
        if config.get("use_residual"):
            square = config["in_features"] == config["out_features"]
            outputs = outputs + (rows if square else rows @ tensors["residual.weight"].T)
        return np.asarray(outputs)


@dataclass(frozen=True)
class Case:
    """A folder to build, and the names of the prompts to try."""

    name: str
    build: Callable[[Path], Path]
    prompt_names: tuple[str | None, ...] = (None,)


def _case(name: str, *parts: Any, prompt_names: tuple[str | None, ...] = (None,), **options: Any) -> Case:
    return Case(name, lambda folder: save(folder, *parts, **options), prompt_names)


def _quantized(folder: Path) -> Path:
    """A folder of Model2Vec, which sentence-transformers reads by its own rules."""
    rng = np.random.default_rng(5)
    size = tiny_models.tokenizer("unigram").get_vocab_size()
    table, mapping = tiny_models.vectors(64), rng.integers(0, 64, size)
    weights = rng.random(size).astype(np.float32)
    tiny_models.save(
        folder,
        "unigram",
        vectors=table,
        token_mapping=mapping,
        weights=weights,
        max_length=5,
        normalize=False,
    )
    save_modules(folder, NORMALIZE)
    return folder


_PROMPTS = {"query": "search_query: ", "passage": "passage: ", "code": "Find the code:\n"}
CASES = [
    _case("WordPiece", "wordpiece"),
    _case("Unigram", "unigram"),
    _case("BPE", "bpe"),
    _case("WordLevel, 0_StaticEmbedding", "wordlevel", nested=True),
    _case("WordPiece, Normalize", "wordpiece", NORMALIZE),
    _case("Unigram, Normalize", "unigram", NORMALIZE),
    _case("WordPiece, 7 tokens", "wordpiece", truncation={"max_length": 7}),
    _case("Unigram, 7 tokens", "unigram", truncation={"max_length": 7, "stride": 2}),
    _case("BPE, 7 tokens, Normalize", "bpe", NORMALIZE, truncation={"max_length": 7}),
    *(
        _case(f"{kind}, Dense with {name.split('.')[1]}", kind, dense(24, 16, name))
        for kind, name in zip(
            ("wordpiece", "unigram", "bpe", "wordpiece", "unigram"), ACTIVATIONS, strict=True
        )
    ),
    _case("Dense of older releases, without its activation", "wordpiece", dense(24, 24, None)),
    _case("Dense without bias, in float16", "bpe", dense(24, 9, bias=False, dtype="float16")),
    _case("Dense with residual", "unigram", dense(24, 24, residual=True)),
    _case("Dense with residual of another width", "wordpiece", dense(24, 40, residual=True)),
    _case(
        "Normalize, Dense, Dropout, Dense, Normalize",
        "wordpiece",
        NORMALIZE,
        dense(24, 32, "activation.GELU"),
        DROPOUT,
        dense(32, 12, "linear.Identity"),
        NORMALIZE,
    ),
    _case(
        "float64 table, 100 tokens, Dense",  # float32 sums more of them less exactly
        "bpe",
        dense(24, 8),
        table=tiny_models.vectors(800, dtype="float64"),
        truncation={"max_length": 100},
    ),
    Case("Model2Vec's folder, with mapping and weights", _quantized),
    _case("prompts", "wordpiece", prompt_names=(None, *_PROMPTS, "document"), prompts=_PROMPTS),
    _case(
        "prompts, 9 tokens, a default",
        "unigram",
        NORMALIZE,
        prompt_names=(None, *_PROMPTS, "document"),
        truncation={"max_length": 9},
        prompts=_PROMPTS,
        default_prompt_name="passage",
    ),
]
