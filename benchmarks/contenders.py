"""The implementations to measure: portvec in its variants, and its peers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks import models

REFERENCE = "model2vec"
PEERS = (REFERENCE, "fastembed", "sentence-transformers", "model2vec ONNX")


@dataclass(frozen=True)
class Contender:
    """An implementation and its options.

    Attributes:
        name: its name in results: the peer's, or "portvec" and the options that are not the default.
        loader: its key in peers.LOADERS.
        options: arguments of that loader, except threads.
    """

    name: str
    loader: str
    options: dict[str, Any]


def portvec(model: str, dtype: str = "float32", tokenizer: str = "auto") -> Contender:
    """Return portvec with a table of that type. Without the fast extra, its tokenizer is "tokenizers"."""
    name = f"portvec {dtype}" + ("" if tokenizer == "auto" else f", {tokenizer}")
    options = {"model": str(models.artifact(model, dtype)), "tokenizer": tokenizer}
    return Contender(name, "portvec", options)


def peer(name: str, model: str) -> Contender:
    """Return a peer on that model."""
    if name != "model2vec ONNX":
        return Contender(name, name, {"folder": str(models.source(model))})
    limit = None if model == "unlimited" else 512
    return Contender(name, name, {"folder": str(models.onnx_export(model)), "max_length": limit})
