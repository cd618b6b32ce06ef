"""The implementations that are measured, each with a function that loads it.

A worker loads this file by its path, so that a peer's process imports nothing of portvec.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# A function from texts to vectors, (n, dim), and facts about what was loaded, as JSON values.
Loaded = tuple[Callable[[list[str]], Any], dict[str, Any]]

PEERS = ("model2vec", "fastembed")


def load_portvec(model: str, **options: Any) -> Loaded:
    """Load an artifact, or a model that StaticEmbedder converts to one; `options` are those of its `load`."""
    from portvec import StaticEmbedder

    embedder = StaticEmbedder.load(model, **options)
    manifest = embedder.manifest
    facts = {
        "tokenizer": embedder.tokenizer,
        "source": manifest.source._asdict(),
        "exact": manifest.quality is None,  # whether the table has the source's values
        **{name: getattr(manifest, name) for name in ("dtype", "vocabulary_size", "dim", "normalize")},
        "max_length": manifest.max_length,
        "has_layers": bool(manifest.layers),
    }
    return embedder.encode, facts


def load_model2vec(folder: str, **options: Any) -> Loaded:
    """Load a Model2Vec folder with model2vec; `options` are those of StaticModel.from_pretrained."""
    # The runtime must not import model2vec. Here the user asks for it by name.
    from model2vec import StaticModel  # noqa: TID251

    model = StaticModel.from_pretrained(folder, quantize_to="float32", force_download=False, **options)
    return model.encode, {}


def load_fastembed(folder: str) -> Loaded:
    """Load a Model2Vec folder with fastembed's static embedding."""
    import numpy as np
    from fastembed import TextEmbedding

    # fastembed knows this model as static. It reads the vectors from the folder, whatever their size.
    model = TextEmbedding("minishlab/potion-base-8M", specific_model_path=folder)
    # The default size of batches, 256, is half as fast.
    return lambda texts: np.array(list(model.embed(texts, batch_size=1024))), {}


# For each implementation, the package to import and the function that loads a model.
LOADERS: dict[str, tuple[str, Callable[..., Loaded]]] = {
    "portvec": ("portvec._embedder", load_portvec),
    "model2vec": ("model2vec", load_model2vec),
    "fastembed": ("fastembed", load_fastembed),
}
