"""How to load each implementation: with its own defaults, except for threads and the size of batches.

The measuring processes load this file by its path, so that a peer's process contains nothing of portvec.
"""

from __future__ import annotations

import importlib.util
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Loaded = tuple[Callable[[list[str]], Any], dict[str, Any]]

# Texts in a batch of the ONNX export. 8, 16, 32, 64 and 128 were tried; this was the fastest for paragraphs.
_ONNX_BATCH = 16
# Texts in a batch of sentence-transformers. Its default, 32, is half as fast.
_LARGE_BATCH = 1024


def _on_cores(load: Callable[..., Loaded]) -> Callable[..., Loaded]:
    """Bind a loader's process to `threads` cores, whatever thread pools it starts."""

    def bound(*, threads: int, **options: Any) -> Loaded:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
        return load(threads=threads, **options)

    return bound


def _portvec(model: str, **options: Any) -> Loaded:
    from portvec import StaticEmbedder

    embedder = StaticEmbedder.load(model, **options)
    # The name of its tokenizer is not asked for: that loads the one for many texts.
    return embedder.encode, {"exact": embedder.manifest.quality is None}


def _sentence_transformers(folder: str, threads: int) -> Loaded:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import StaticEmbedding

    torch.set_num_threads(threads)
    model = SentenceTransformer(modules=[StaticEmbedding.from_model2vec(folder)], device="cpu")
    options = {"batch_size": _LARGE_BATCH, "normalize_embeddings": True, "show_progress_bar": False}
    return lambda texts: model.encode(texts, **options), {}


def _laghu(folder: str, vocabulary: str, max_length: int | None, threads: int) -> Loaded:
    os.environ["LAGHU_CACHE"] = vocabulary
    from laghu import load

    model = load(folder, fallback=False)
    tokenizer = model.tokenizer
    tokenizer.threads = threads
    # A Unigram without `rs_pre` splits texts in Python.
    is_fast = tokenizer.rs is not None and getattr(tokenizer, "rs_pre", tokenizer.rs) is not None
    facts = {"tokenizer": "laghu-rs" if is_fast else "tokenizers"}
    return lambda texts: model.encode(texts, max_length=max_length), facts


def _model2vec_onnx(folder: str, max_length: int | None, threads: int) -> Loaded:
    import onnxruntime
    from tokenizers import Tokenizer

    path = Path(folder)
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    tokenizer.enable_padding()
    if max_length is None:
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(max_length)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        str(path / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )

    def encode(texts: list[str]) -> Any:
        import numpy as np

        # Group texts of similar length, so that batches hold little padding.
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        vectors = []
        for start in range(0, len(texts), _ONNX_BATCH):
            batch = [texts[index] for index in order[start : start + _ONNX_BATCH]]
            encodings = tokenizer.encode_batch_fast(batch, add_special_tokens=False)
            feeds = {
                "input_ids": np.array([encoding.ids for encoding in encodings], dtype=np.int64),
                "attention_mask": np.array(
                    [encoding.attention_mask for encoding in encodings], dtype=np.int64
                ),
            }
            vectors.append(session.run(None, feeds)[0])
        out = np.empty((len(texts), vectors[0].shape[1]), dtype=np.float32)
        out[order] = np.concatenate(vectors)
        return out

    return encode, {}


def _contenders() -> dict[str, tuple[str, Callable[..., Loaded]]]:
    """Return the loaders of `portvec bench` without importing their package."""
    found = importlib.util.find_spec("portvec")
    assert found is not None
    assert found.submodule_search_locations is not None
    path = Path(found.submodule_search_locations[0]) / "_cli" / "bench" / "contenders.py"
    loaders: dict[str, tuple[str, Callable[..., Loaded]]] = runpy.run_path(str(path))["LOADERS"]
    return loaders


def _without_threads(load: Callable[..., Loaded]) -> Callable[..., Loaded]:
    return lambda threads, **options: load(**options)


def _without_fast(load: Callable[..., Loaded]) -> Callable[..., Loaded]:
    """Load where the packages of the extra `fast` cannot be imported."""

    def loaded(**options: Any) -> Loaded:
        sys.modules["nanotoken"] = None  # type: ignore[assignment]
        return load(**options)

    return loaded


_OWN = _contenders()

LOADERS: dict[str, tuple[str, Callable[..., Loaded]]] = {
    "portvec": ("portvec", _on_cores(_portvec)),
    "portvec without fast": ("portvec", _on_cores(_without_fast(_portvec))),
    "model2vec": ("model2vec", _on_cores(_without_threads(_OWN["model2vec"][1]))),
    "laghu": ("laghu", _on_cores(_laghu)),
    "fastembed": ("fastembed", _on_cores(_without_threads(_OWN["fastembed"][1]))),
    "sentence-transformers": ("sentence_transformers", _on_cores(_sentence_transformers)),
    "model2vec ONNX": ("onnxruntime", _on_cores(_model2vec_onnx)),
}
