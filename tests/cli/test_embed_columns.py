"""`portvec embed`: columns of files and of Milvus. Needs pyarrow."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from command_line import RunPortvec
from portvec import StaticEmbedder
from portvec._bulk.provenance import Provenance

TEXTS = ("first text", "second, with ünïcode 日本", "third")


def test_every_column_is_kept_in_order(portvec: RunPortvec, tiny: Path, tmp_path: Path) -> None:
    rows = [{"id": 12345678901234567, "text": text, "price": 1.0, "tags": ["a", None]} for text in TEXTS]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for output in ("out.jsonl", "out.parquet", "out.arrow"):
        assert portvec("embed", tiny, "-i", "a.jsonl", "-o", output).returncode == 0
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    tables = [pq.read_table(tmp_path / "out.parquet"), feather.read_table(tmp_path / "out.arrow")]
    for found in (lines, *(table.to_pylist() for table in tables)):
        assert [{name: row[name] for name in row if name != "embedding"} for row in found] == rows
        np.testing.assert_array_equal(
            np.array([row["embedding"] for row in found], dtype=np.float32),
            StaticEmbedder.load(tiny).encode(TEXTS),
        )
    for table in tables:
        made = Provenance.read(table.schema.metadata)
        assert made == Provenance.of(StaticEmbedder.load(tiny), "text", "embedding")


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("vectors_as", ["fixed-size-list", "list"])
def test_types_of_vectors(
    portvec: RunPortvec, tiny: Path, tmp_path: Path, dtype: str, vectors_as: str
) -> None:
    options = ("--dtype", dtype, "--vectors-as", vectors_as, "--vector-field", "v")
    assert portvec("embed", tiny, *TEXTS, "-o", "out.parquet", *options).returncode == 0
    kind = pq.read_schema(tmp_path / "out.parquet").field("v").type
    assert str(kind.value_type) == {"float32": "float", "float16": "halffloat"}[dtype]
    assert getattr(kind, "list_size", None) == (24 if vectors_as == "fixed-size-list" else None)


def test_a_field_of_that_name(portvec: RunPortvec, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "x", "embedding": 1}\n')
    for output in (["-o", "out.jsonl"], ["-o", "out.parquet"], []):
        result = portvec("embed", tiny, "-i", "a.jsonl", *output)
        assert result.returncode == 1
        assert " 'embedding' already" in result.stderr
        assert "give another --vector-field to the embeddings" in result.stderr
    assert portvec("embed", tiny, "-i", "a.jsonl", "--vector-field", "v").returncode == 0


def test_rows_go_into_milvus(portvec: RunPortvec, tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps({"n": n, "text": t}) + "\n" for n, t in enumerate(TEXTS))
    )
    arguments = ("embed", tiny, "-i", "a.jsonl", "-o", "milvus:rows.db/docs")
    result = portvec(*arguments)
    assert (result.returncode, result.stderr) == (0, "milvus:rows.db/docs: 3 embeddings of dimension 24\n")
    again = portvec(*arguments)
    assert again.returncode == 1
    assert (
        "rows.db/docs: has rows already, and row numbers as primary keys would put new rows" in again.stderr
    )
    assert "give --id, or replace the collection with --overwrite" in again.stderr
    assert portvec(*arguments, "--overwrite").returncode == 0
    found = portvec("search", tiny, TEXTS[1], "--milvus", "rows.db/docs", "-k", "1", "--json")
    (hit,) = json.loads(found.stdout)
    assert (hit["id"], hit["text"]) == (1, TEXTS[1])
    assert not list(tmp_path.glob("*.partial"))
