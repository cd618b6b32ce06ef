"""`portvec search` in stored vectors and in Milvus. Needs pyarrow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from command_line import RunPortvec
from portvec import StaticEmbedder
from portvec._bulk.arrow import embed_batch
from portvec._bulk.milvus.writing import MilvusCollection

TEXTS = ["return value", "the file", "return the value of a function", "unrelated"]


def embed(model: Path) -> Any:
    """Return a batch of the texts and their embeddings."""
    return embed_batch(StaticEmbedder.load(model), pa.record_batch({"text": TEXTS}))


@pytest.fixture
def parquet(tiny: Path, tmp_path: Path) -> Path:
    pq.write_table(pa.Table.from_batches([embed(tiny)]), tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


@pytest.fixture
def npy(tiny: Path, tmp_path: Path) -> Path:
    np.save(tmp_path / "rows.npy", StaticEmbedder.load(tiny).encode(TEXTS))
    return tmp_path / "rows.npy"


@pytest.fixture
def milvus(tiny: Path, tmp_path: Path) -> str:
    batch = embed(tiny)
    uri = str(tmp_path / "rows.db")
    dim = StaticEmbedder.load(tiny).dim
    collection = MilvusCollection.open(
        uri, "docs", schema=batch.schema, text="text", vector="embedding", dim=dim
    )
    collection.upsert(batch, 0)
    collection.close()
    return f"{uri}/docs"


def test_stored_vectors_give_what_their_texts_give(portvec: RunPortvec, tiny: Path, parquet: Path) -> None:
    stored = portvec("search", tiny, "return value", "--vectors", parquet, "--json")
    assert (stored.returncode, stored.stderr) == (0, "")
    embedded = portvec("search", tiny, "return value", "--json", stdin="\n".join(TEXTS))
    assert json.loads(stored.stdout) == json.loads(embedded.stdout)


def test_the_table_of_stored_vectors_has_positions(portvec: RunPortvec, tiny: Path, parquet: Path) -> None:
    result = portvec("search", tiny, "return value", "--vectors", parquet, "-k", "2", COLUMNS="40")
    assert (result.returncode, result.stderr) == (0, "")
    header, first, second = result.stdout.splitlines()
    assert header == " score  position  text"
    assert first == " 1.000         0  return value"
    assert second[6:] == "         2  return the value of a…"
    assert len(second) == 40


def test_an_array_gives_positions_and_a_file_its_texts(
    portvec: RunPortvec, tiny: Path, npy: Path, tmp_path: Path
) -> None:
    result = portvec("search", tiny, "return value", "--vectors", npy, "-k", "1")
    assert result.stdout == " score  position\n 1.000         0\n"
    found = json.loads(portvec("search", tiny, "the file", "--vectors", npy, "-k", "1", "--json").stdout)
    assert found == [{"score": pytest.approx(1), "position": 1, "text": None}]
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    texts = ("-i", tmp_path / "texts.txt")
    result = portvec("search", tiny, "the file", "--vectors", npy, "-k", "1", *texts)
    assert result.stdout == " score  position  text\n 1.000         1  the file\n"
    (tmp_path / "texts.txt").write_text("one\ntwo\n")
    result = portvec("search", tiny, "the file", "--vectors", npy, *texts)
    assert result.returncode == 1
    assert result.stderr == (
        f"portvec: error: {npy}: holds 4 vectors, but there are 2 texts; give the texts that were embedded, "
        "in their order\n"
    )


def test_stored_vectors_that_cannot_be_searched(
    portvec: RunPortvec, tiny: Path, parquet: Path, npy: Path
) -> None:
    errors = {
        (parquet, "--vector-field", "vector"): "no column 'vector', has text, embedding; give another "
        "--vector-field",
        (parquet, "--field", "title"): "no column 'title', has text, embedding; give another --field",
        (npy, "--field", "title"): "a .npy file has no columns; leave out --field 'title'",
    }
    for (path, *options), message in errors.items():
        result = portvec("search", tiny, "value", "--vectors", path, *options)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == f"portvec: error: {path}: {message}\n"
    np.save(npy, np.zeros((0, StaticEmbedder.load(tiny).dim), np.float32))
    result = portvec("search", tiny, "value", "--vectors", npy)
    assert result.stderr == f"portvec: error: {npy}: has no vector to search\n"
    assert portvec("search", tiny, "value", "--vectors", npy, "--json").stdout == "[]\n"


def test_another_export_of_the_model_is_a_warning(
    portvec_process: RunPortvec, tiny: Path, parquet: Path
) -> None:
    table = pq.read_table(parquet)
    made = {"model": StaticEmbedder.load(tiny).manifest.source.id, "manifest_sha256": "0" * 64}
    names = {"text": "text", "embedding": "embedding"}
    pq.write_table(table.replace_schema_metadata({b"portvec": json.dumps(made | names)}), parquet)
    result = portvec_process("search", tiny, "value", "--vectors", parquet, "-k", "1")
    assert result.returncode == 0
    assert result.stderr.startswith(
        f"{parquet}: its vectors are from another export of {made['model']}, with "
    )
    assert portvec_process("search", tiny, "value", "--vectors", parquet, "-q").stderr == ""


def test_a_collection_of_milvus_shows_primary_keys(
    portvec_process: RunPortvec, tiny: Path, milvus: str
) -> None:
    _release(milvus)
    result = portvec_process("search", tiny, "return value", "--milvus", milvus, "-k", "2")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[:2] == [" score  id  text", " 1.000   0  return value"]
    result = portvec_process("search", tiny, "the file", "--milvus", milvus, "-k", "1", "--json")
    assert json.loads(result.stdout) == [{"score": pytest.approx(1), "id": 1, "text": "the file"}]
    uri = milvus.removesuffix("/docs")
    result = portvec_process("search", tiny, "the file", "--milvus", f"{uri}/rows")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"portvec: error: {uri}/rows: no such collection, has docs; give one of them\n"
    result = portvec_process("search", tiny, "the file", "--milvus", milvus, "--vector-field", "text")
    assert result.stderr == (
        f"portvec: error: {milvus}: no field of float vectors 'text', has embedding; give another "
        "--vector-field\n"
    )


def _release(milvus: str) -> None:
    """Let another process open a file of Milvus Lite, whose server otherwise ends with this one."""
    from milvus_lite.server_manager import server_manager_instance

    server_manager_instance.release_server(milvus.removesuffix("/docs"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--milvus", "a.db/docs", "--vectors", "b.npy"], "give --milvus or --vectors, not both"),
        (["--milvus", "a.db/docs", "-i", "b.txt"], "give --milvus or -i, not both"),
        (["--vector-field", "a"], "--vector-field is for --vectors and --milvus"),
    ],
)
def test_options_that_do_not_go_together(
    portvec: RunPortvec, tiny: Path, options: list[str], message: str
) -> None:
    result = portvec("search", tiny, "value", *options)
    assert result.returncode == 2
    assert result.stderr == f"portvec: error: {message}; see 'portvec search --help'\n"


def test_credentials_of_milvus_are_not_printed(portvec: RunPortvec, tiny: Path) -> None:
    result = portvec("search", tiny, "value", "--milvus", "http://me:secret@host/a-b")
    assert result.returncode == 1
    assert result.stderr.startswith("portvec: error: http://host/a-b: 'a-b' is no name of a collection")
    assert "secret" not in result.stderr
