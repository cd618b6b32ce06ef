"""Pooling alone, on one thread, against what the machine's memory can do.

It reaches into portvec's private modules: from token ids on, nothing of the tokenizer is in the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import models, texts
from portvec import StaticEmbedder
from portvec._inference.batching import pool
from portvec._inference.pipeline import _WAVE
from portvec._itertools import batched


def measure(count: int, rounds: int, copy_bytes: int = 1 << 30) -> dict[str, Any]:
    """Return tokens/s of float32 and int8, table bytes read per second, and bytes copied per second."""
    paragraphs = texts.paragraphs(count)
    calls: dict[str, Callable[[], object]] = {}
    for dtype in ("float32", "int8"):
        calls[dtype] = _pooling(
            StaticEmbedder.load(models.artifact("wordpiece", dtype), threads=1), paragraphs
        )
    source = np.ones(copy_bytes // 8)
    target = np.empty_like(source)
    calls["copy"] = lambda: np.copyto(target, source)
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - start)
    tokens = len(StaticEmbedder.load(models.artifact("wordpiece"), threads=1).tokenize(paragraphs).ids)
    return {
        "tokens": tokens,
        "float32_tokens_per_second": tokens / best["float32"],
        "int8_tokens_per_second": tokens / best["int8"],
        "float32_table_bytes_per_second": tokens * models.DIM * 4 / best["float32"],
        "copied_bytes_per_second": source.nbytes / best["copy"],
    }


def _pooling(embedder: StaticEmbedder, paragraphs: list[str]) -> Callable[[], object]:
    # As many texts at a time as the embedder takes.
    waves = [embedder.tokenize(batch) for batch in batched(paragraphs, _WAVE)]
    out = np.empty((_WAVE, embedder.dim), dtype=np.float32)

    def call() -> None:
        for tokens in waves:
            pool(tokens, embedder._engine._graph, out[: len(tokens.offsets) - 1])

    return call
