"""Pooling alone, on one thread, beside a copy of memory.

This uses portvec's private modules, so that the time starts at token ids and leaves the tokenizer out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import models, texts
from portvec import StaticEmbedder
from portvec._artifact import format as fmt
from portvec._artifact.folder import open_artifact
from portvec._inference.pipeline import CHUNK, Pipeline
from portvec._inference.target import Target
from portvec._itertools import batched


def measure(count: int, rounds: int, copy_bytes: int = 1 << 30) -> dict[str, Any]:
    """Return tokens/s of float32 and int8, table bytes read per second, and bytes copied per second."""
    paragraphs = texts.paragraphs(count)
    calls: dict[str, Callable[[], object]] = {}
    for dtype in ("float32", "int8"):
        calls[dtype] = _pool(models.artifact("wordpiece", dtype), paragraphs)
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


def _pool(folder: Path, paragraphs: list[str]) -> Callable[[], object]:
    """Return a function that pools the tokens of paragraphs."""
    pipeline = Pipeline.load(open_artifact(folder), Target(fmt.SENTENCE_EMBEDDING, models.DIM))
    chunks = [pipeline.tokenize(batch) for batch in batched(paragraphs, CHUNK)]
    out = np.empty((CHUNK, models.DIM), dtype=np.float32)

    def call() -> None:
        for tokens in chunks:
            pipeline.pool(tokens, out[: len(tokens.offsets) - 1])

    return call
