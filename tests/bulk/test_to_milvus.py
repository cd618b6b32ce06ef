"""Rows into a collection of Milvus Lite, by runs that are stopped."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from portvec import StaticEmbedder
from portvec._bulk import journal
from portvec._bulk.running import Counts, Plan
from portvec._bulk.sources import Source, open_source, open_stream
from portvec._bulk.to_milvus import embed_into_milvus
from portvec.errors import FileError

pytest.importorskip("milvus_lite")
pytest.importorskip("pyarrow")

TEXTS = [f"text number {number}" for number in range(10)]


@pytest.fixture
def embedder(tiny: Path) -> StaticEmbedder:
    return StaticEmbedder.load(tiny, threads=1)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.txt"
    path.write_text("\n".join(TEXTS))
    return path


@pytest.fixture
def target(tmp_path: Path) -> str:
    return f"milvus:{tmp_path}/rows.db/docs"


def run(embedder: StaticEmbedder, source: Source, target: str, *, overwrite: bool = False) -> Counts:
    return embed_into_milvus(embedder, source, target, Plan(part_rows=2, overwrite=overwrite))


def stop(embedder: StaticEmbedder, source: Source, target: str, parts: int) -> None:
    """Run until so many parts are in the journal; the next one is in Milvus, too."""
    left = parts
    append = journal.Journal.append

    def limited(self: journal.Journal, entry: journal.Entry) -> None:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        append(self, entry)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal.Journal, "append", limited)
        with pytest.raises(KeyboardInterrupt):
            run(embedder, source, target)


def stored(target: str) -> list[str]:
    from pymilvus import MilvusClient

    uri = target.removeprefix("milvus:").rpartition("/")[0]
    client = MilvusClient(uri)
    try:
        client.load_collection("docs")
        found = client.query("docs", filter="id >= 0", output_fields=["id", "text"])
        return [row["text"] for row in sorted(found, key=lambda row: row["id"])]
    finally:
        client.close()


@pytest.mark.parametrize("parts", [0, 1, 4])
def test_the_same_run_goes_on(embedder: StaticEmbedder, rows: Path, target: str, parts: int) -> None:
    stop(embedder, open_source(rows), target, parts)
    assert run(embedder, open_source(rows), target) == Counts(10, 0, 2 * parts)
    assert stored(target) == TEXTS
    assert not list(rows.parent.glob("*.partial"))


def test_a_stream_begins_again(embedder: StaticEmbedder, target: str) -> None:
    def stream(name: str) -> Source:
        return open_stream(io.BytesIO("\n".join(f"{name} {text}" for text in TEXTS).encode()), "stream")

    stop(embedder, stream("first"), target, 3)
    with pytest.raises(FileError, match=r"docs: has rows already, and row numbers as primary keys would put"):
        run(embedder, stream("second"), target)
    assert run(embedder, stream("second"), target, overwrite=True) == Counts(10, 0, 0)
    assert stored(target) == [f"second {text}" for text in TEXTS]


def test_a_collection_that_is_gone(embedder: StaticEmbedder, rows: Path, target: str) -> None:
    stop(embedder, open_source(rows), target, 3)
    from pymilvus import MilvusClient

    client = MilvusClient(str(rows.parent / "rows.db"))
    client.drop_collection("docs")
    client.close()
    with pytest.raises(FileError, match=r"docs: has none of the 6 rows that were sent; remove .*partial"):
        run(embedder, open_source(rows), target)


def test_a_file_in_a_folder_that_is_missing(embedder: StaticEmbedder, rows: Path) -> None:
    target = f"milvus:{rows.parent}/missing/rows.db/docs"
    with pytest.raises(FileError, match=r"rows.db.docs.partial: cannot be written .*; is its folder"):
        run(embedder, open_source(rows), target)


def test_a_list_of_skipped_rows_survives_a_death_at_the_end(
    embedder: StaticEmbedder, tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a"}\n{"text": 1}\n')
    plan = Plan(on_error="skip")
    monkeypatch.setattr(journal.Journal, "remove", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        embed_into_milvus(embedder, open_source(path), target, plan)
    report = tmp_path / "rows.db.docs.skipped.jsonl"
    before = report.read_bytes()
    assert b"line" in before
    monkeypatch.undo()
    assert embed_into_milvus(embedder, open_source(path), target, plan) == Counts(1, 1, 1)
    assert report.read_bytes() == before
