"""The implementations that are measured, each loaded in its own way behind one function.

A worker loads this file by its path, so that a peer's process holds nothing of portvec.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Texts to vectors, (n, dim); and facts about what was loaded, as JSON values.
Loaded = tuple[Callable[[list[str]], Any], dict[str, Any]]

PEERS = ("model2vec", "fastembed")


def load_portvec(model: str, *, threads: int | None = None, tokenizer: Any = "auto") -> Loaded:
    """Load an artifact, or what StaticEmbedder makes one of."""
    from portvec import StaticEmbedder

    embedder = StaticEmbedder.load(model, threads=threads, tokenizer=tokenizer)
    manifest = embedder.manifest
    facts = {
        "tokenizer": embedder.tokenizer,
        "source": vars(manifest.source),
        "exact": manifest.quality is None,  # the table holds the source's values
        **{name: getattr(manifest, name) for name in ("dtype", "vocabulary_size", "dim", "normalize")},
        "max_length": manifest.max_length,
    }
    return embedder.encode, facts


def load_model2vec(folder: str, **options: Any) -> Loaded:
    """Load a Model2Vec folder with model2vec; `options` are those of StaticModel.from_pretrained."""
    # Banned from the runtime; here it is asked for by name, and never imported unasked.
    from model2vec import StaticModel  # noqa: TID251

    model = StaticModel.from_pretrained(folder, quantize_to="float32", force_download=False, **options)
    return model.encode, {}


def load_fastembed(folder: str) -> Loaded:
    """Load a Model2Vec folder with fastembed's static embedding."""
    import numpy as np
    from fastembed import TextEmbedding

    # One of the models that it knows as static; the vectors are read from the folder, of any size.
    model = TextEmbedding("minishlab/potion-base-8M", specific_model_path=folder)
    return lambda texts: np.array(list(model.embed(texts))), {}


# What to import, and what loads a model then.
LOADERS: dict[str, tuple[str, Callable[..., Loaded]]] = {
    "portvec": ("portvec", load_portvec),
    "model2vec": ("model2vec", load_model2vec),
    "fastembed": ("fastembed", load_fastembed),
}
