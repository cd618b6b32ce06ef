"""Threads, processes, pickles, and memory over many calls."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from corpus import paragraphs
from portvec import Model2VecEmbeddingFunction, StaticEmbedder


@pytest.mark.parametrize("own_threads", [1, 2])
def test_sixteen_threads_on_one_embedder(bundled: Path, own_threads: int) -> None:
    embedder = StaticEmbedder.load(bundled, threads=own_threads)
    batches = [paragraphs(3200)[start : start + 100] for start in range(0, 3200, 100)]
    expected = [embedder.encode(batch) for batch in batches]
    with ThreadPoolExecutor(16) as executor:
        results = list(executor.map(embedder.encode, batches * 3))
    for got, wanted in zip(results, expected * 3, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_pickles_as_source_and_options(tiny: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for source in (tiny, tiny_model):
        embedder = StaticEmbedder.load(source, threads=1)
        content = pickle.dumps(embedder)
        assert len(content) < 1000
        copy = pickle.loads(content)
        np.testing.assert_array_equal(copy.encode(["the value"]), embedder.encode(["the value"]))
    ef = pickle.loads(pickle.dumps(Model2VecEmbeddingFunction(tiny)))
    assert ef.dim == 24
    monkeypatch.chdir(tiny.parent)
    relative = pickle.dumps(StaticEmbedder.load(tiny.name))
    monkeypatch.chdir("/")
    assert pickle.loads(relative).dim == 24


def test_pickle_holds_no_token(tiny: Path) -> None:
    assert b"hf_secret" not in pickle.dumps(StaticEmbedder.load(tiny, token="hf_secret"))


def test_spawned_process(tiny: Path) -> None:
    embedder = StaticEmbedder.load(tiny)
    with get_context("spawn").Pool(1) as pool:
        got = pool.apply(embedder.encode, (["the value", "text"],))
    np.testing.assert_array_equal(got, embedder.encode(["the value", "text"]))


FORK = """
import os, sys
from portvec import StaticEmbedder

texts = [f"text number {i} of many" for i in range(5000)]
embedder = StaticEmbedder.load(sys.argv[1], threads=2)
expected = embedder.encode(texts)  # starts the threads that a child does not inherit
for _ in range(3):
    child = os.fork()
    if child == 0:
        os._exit(0 if (embedder.encode(texts) == expected).all() else 3)
    assert os.waitpid(child, 0)[1] == 0
assert (embedder.encode(texts) == expected).all()
print("same")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_forked_process(tiny: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", FORK, str(tiny)], capture_output=True, text=True, timeout=120, check=True
    )
    assert result.stdout == "same\n"


MEMORY = """
import random, sys
from pathlib import Path
from portvec import StaticEmbedder

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

random.seed(2)
words = "return the value of a function or object".split()
embedder = StaticEmbedder.load(sys.argv[1], threads=2)
for call in range(20_000):
    if call == 1000:
        start = resident()
    texts = [" ".join(random.choices(words, k=random.randint(0, 40))) for _ in range(random.randint(0, 12))]
    if call % 25 == 0:  # several blocks, so that both threads have some at once
        texts = [" ".join(random.choices(words, k=random.randint(0, 600))) for _ in range(60)]
    embedder.encode(texts)
print(resident() / start)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
def test_memory_stays_level_over_twenty_thousand_calls(bundled: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", MEMORY, str(bundled)], capture_output=True, text=True, timeout=600, check=True
    )
    assert float(result.stdout) < 1.05
