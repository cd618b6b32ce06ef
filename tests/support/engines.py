"""What the tests of the adapters for engines share: rows with ids, and a check of the rows that come back."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus import paragraphs
from frameworks import Framework
from portvec import StaticEmbedder

ALL = bool(os.environ.get("PORTVEC_ALL_ENGINES"))
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["DO_NOT_TRACK"] = "true"  # Daft


ENGINES = [
    Framework("Ray", "ray", "ray", "ray"),
    Framework("Spark", "spark", "pyspark", "pyspark"),
    Framework("Daft", "daft", "daft", "daft"),
    Framework("DuckDB", "duckdb", "duckdb", "duckdb"),
    Framework("polars", "polars", "polars", "polars"),
]


def need_engine(package: str) -> None:
    """Skip the tests of a module whose engine is missing, except where all must run."""
    if ALL:
        importlib.import_module(package)
    else:
        pytest.importorskip(package, reason=f"{package} is not installed; make test-scale")


def rows(count: int = 5000, *, null: bool = True) -> pa.Table:
    """Return rows with an id, a text (now and then null, empty or without words) and one more column."""
    texts: list[str | None] = [text[:200] for text in paragraphs(2000)]
    if null:
        texts[3::500] = [None] * len(texts[3::500])
    texts[5], texts[7] = "", "😀"
    many = (texts * (count // len(texts) + 1))[:count]
    ids = pa.array(range(count), type=pa.int64())
    return pa.table({"id": ids, "text": pa.array(many), "kept": pa.array([f"row {i}" for i in range(count)])})


def write_files(table: pa.Table, folder: Path, files: int = 4) -> Path:
    """Write a table as a folder of Parquet files with as many rows each, and return the folder."""
    folder.mkdir()
    size = -(-len(table) // files)
    for n in range(files):
        pq.write_table(table.slice(n * size, size), folder / f"part-{n}.parquet")
    return folder


def assert_embedded(got: pa.Table, rows: pa.Table, artifact: Path, dtype: str = "float32") -> None:
    """Check that each row came back once, with its other columns and the embedding of its text."""
    assert got.column_names == [*rows.column_names, "embedding"]
    got = got.sort_by("id")
    for name in rows.column_names:
        assert got[name].to_pylist() == rows[name].to_pylist(), name
    texts = rows["text"].to_pylist()
    given = np.array([text is not None for text in texts])
    embeddings = got["embedding"].combine_chunks()
    assert embeddings.type.value_type == {"float32": pa.float32(), "float16": pa.float16()}[dtype]
    np.testing.assert_array_equal(~given, embeddings.is_null().to_numpy(zero_copy_only=False))
    vectors = np.array(embeddings.drop_null().flatten()).reshape(int(given.sum()), -1)
    expected = StaticEmbedder.load(artifact).encode([text for text in texts if text is not None])
    # A text that is alone in its batch is pooled by numpy, which adds up in another order.
    np.testing.assert_allclose(
        vectors, expected.astype(dtype), rtol=0, atol=1e-6 if dtype == "float32" else 1e-3
    )


def count_loads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list that grows with each model that this process loads."""
    loads: list[Any] = []
    load = StaticEmbedder.load

    def counting(*args: Any, **kwargs: Any) -> StaticEmbedder:
        loads.append(args)
        return load(*args, **kwargs)

    monkeypatch.setattr(StaticEmbedder, "load", counting)
    return loads
