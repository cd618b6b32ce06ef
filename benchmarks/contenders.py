"""The implementations to measure: portvec in its variants, and its peers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks import models

REFERENCE = "model2vec"
PEERS = (REFERENCE, "laghu", "fastembed", "sentence-transformers", "model2vec ONNX")
# Those that may be the fastest where a process takes seconds. The others tokenize as model2vec does, in
# smaller batches.
QUICKEST_PEERS = PEERS[:2]


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


def portvec(model: str, dtype: str = "float32", *, fast: bool = True) -> Contender:
    """Return portvec with a table of that type, with or without the packages of its extra `fast`."""
    name, loader = (f"portvec {dtype}", "portvec") if fast else (without_fast(dtype), "portvec without fast")
    return Contender(name, loader, {"model": str(models.artifact(model, dtype))})


def without_fast(dtype: str) -> str:
    """Return the name of portvec without its extra `fast`."""
    return f"portvec {dtype}, without fast"


def peer(name: str, model: str) -> Contender:
    """Return a peer on that model."""
    limit = None if model == "unlimited" else 512
    options: dict[str, Any]
    if name == "laghu":
        folder, vocabulary = models.laghu(model)
        options = {"folder": str(folder), "vocabulary": str(vocabulary), "max_length": limit}
    elif name == "model2vec ONNX":
        options = {"folder": str(models.onnx_export(model)), "max_length": limit}
    else:
        options = {"folder": str(models.source(model))}
    return Contender(name, name, options)
