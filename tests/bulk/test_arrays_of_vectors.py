"""Embeddings as arrays of Arrow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from command_line import RunPortvec
from portvec import StaticEmbedder
from portvec.errors import InputError

pa = pytest.importorskip("pyarrow")

from portvec._bulk.arrow import embed_batch, to_vectors  # noqa: E402


def test_lists_hold_no_more_numbers_than_their_offsets_can_count() -> None:
    rows = np.broadcast_to(np.float32(1), (2**23, 256))  # 8 GB, if it were not one number
    with pytest.raises(InputError) as caught:
        to_vectors(rows, fixed_size=False)
    assert str(caught.value) == (
        "8,388,608 embeddings of dimension 256 are 2,147,483,648 numbers, and one array of lists holds "
        "2,147,483,647; give at most 8,388,607 rows at a time, or make lists of a fixed size"
    )


def test_a_batch_of_lists_is_as_large_as_that_and_no_larger(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = StaticEmbedder.load(tiny)
    monkeypatch.setattr("portvec._bulk.arrow._MOST_LISTED", 3 * embedder.dim)
    batch = pa.record_batch({"text": ["a", "b", "c", "d"]})
    with pytest.raises(InputError, match=r"^4 embeddings of dimension .* give at most 3 rows at a time, "):
        embed_batch(embedder, batch, fixed_size=False)
    lists = embed_batch(embedder, batch.slice(1), fixed_size=False)["embedding"]
    fixed = embed_batch(embedder, batch.slice(1))["embedding"]
    assert lists.to_pylist() == fixed.to_pylist()


def test_a_command_says_it_in_one_line_and_works_with_smaller_parts(
    portvec: RunPortvec, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portvec._bulk.arrow._MOST_LISTED", 3 * StaticEmbedder.load(tiny).dim)
    (tmp_path / "a.txt").write_text("a text\n" * 4)
    command = ("embed", tiny, "-i", "a.txt", "-o", "a.arrow", "--vectors-as", "list")
    result = portvec(*command)
    assert result.returncode == 1
    assert "give at most 3 rows at a time, or make lists of a fixed size" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert portvec(*command, "--part-rows", 3, "--overwrite").returncode == 0
