"""Processes that are killed at any moment, and the same command again."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engines import ALL
from folders import names
from portvec import StaticEmbedder

pytestmark = pytest.mark.skipif(not ALL, reason="takes minutes; make test-scale")

ROWS = 100_000
KILLS = 8


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "rows.parquet"
    words = ["river", "stone", "light", "north", "winter", "city", "paper", "green", "seven", "mountain"]
    chosen = random.Random(0)
    texts = [" ".join(chosen.choices(words, k=8)) + f" {number}" for number in range(ROWS)]
    pq.write_table(pa.table({"number": range(ROWS), "text": texts}), path, row_group_size=7_000)
    return path


def command(model: Path, corpus: Path, output: str, *options: str) -> list[str]:
    return [
        *(sys.executable, "-m", "portvec", "embed", str(model), "-i", str(corpus), "-o", output),
        *("--part-rows", "2000", *options),
    ]


def kill_and_repeat(arguments: list[str], folder: Path, journal: Path) -> None:
    """Kill a command again and again, each time at a random moment after it wrote a part, then let it end."""
    chosen = random.Random(0)
    written = 0
    for _ in range(KILLS):
        child = subprocess.Popen(arguments, cwd=folder, stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 120
        while count_parts(journal) <= written:
            assert child.poll() is None, child.communicate()
            assert time.monotonic() < end
            time.sleep(0.002)
        time.sleep(chosen.uniform(0, 0.05))
        child.send_signal(chosen.choice([signal.SIGKILL, signal.SIGTERM]))
        _, error = child.communicate(timeout=60)
        assert child.returncode in (-signal.SIGKILL, 128 + signal.SIGTERM), error
        written = count_parts(journal)
        assert written > 0
    last = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=300)
    assert last.returncode == 0, last.stderr
    assert "of them from before" in last.stderr


def count_parts(journal: Path) -> int:
    """Return how many parts a journal records, behind its first line."""
    try:
        return max(journal.read_bytes().count(b"\n") - 1, 0)
    except OSError:
        return 0


@pytest.mark.parametrize("output", ["out.parquet", "out.arrow", "out.npy", "out.jsonl"])
def test_files_are_those_of_a_run_without_kills(
    bundled: Path, corpus: Path, tmp_path: Path, output: str
) -> None:
    calm, disturbed = tmp_path / "calm", tmp_path / "disturbed"
    calm.mkdir()
    disturbed.mkdir()
    subprocess.run(command(bundled, corpus, output), cwd=calm, check=True, capture_output=True, timeout=300)
    journal = disturbed / f"{output}.partial" / "journal"
    kill_and_repeat(command(bundled, corpus, output), disturbed, journal)
    assert names(disturbed) == [output]
    assert (disturbed / output).read_bytes() == (calm / output).read_bytes()


def test_milvus_has_every_row_once(bundled: Path, corpus: Path, tmp_path: Path) -> None:
    from pymilvus import MilvusClient

    arguments = command(bundled, corpus, "milvus:rows.db/docs")
    kill_and_repeat(arguments, tmp_path, tmp_path / "rows.db.docs.partial" / "journal")
    assert names(tmp_path) == ["rows.db"]
    texts = pq.read_table(corpus)["text"].to_pylist()
    embedder = StaticEmbedder.load(bundled)
    client: Any = MilvusClient(str(tmp_path / "rows.db"))
    try:
        client.load_collection("docs")
        (count,) = client.query("docs", filter="", output_fields=["count(*)"])
        assert count["count(*)"] == ROWS
        rows = embedder.encode(texts)
        for query in (0, ROWS // 2, ROWS - 1):
            (hits,) = client.search("docs", data=[rows[query]], limit=5, output_fields=["text", "number"])
            scores = rows @ rows[query]
            best = np.sort(scores)[::-1][:5]
            np.testing.assert_allclose([hit["distance"] for hit in hits], best, atol=1e-5)
            assert all(hit["entity"]["text"] == texts[hit["entity"]["number"]] for hit in hits)
            assert hits[0]["id"] == query
    finally:
        client.close()
