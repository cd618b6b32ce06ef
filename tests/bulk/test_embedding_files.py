"""Files of embeddings: what is in them, and what is left of one that is not finished."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from portvec._bulk.writers import embedding_file
from portvec.errors import FileError


@pytest.mark.parametrize("batches", [[], [1], [2, 0, 3]])
def test_npy_of_a_number_of_rows_known_at_the_end(batches: list[int], tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((sum(batches), 4)).astype(np.float32)
    with embedding_file(tmp_path / "rows.npy", 4) as write:
        start = 0
        for count in batches:
            write(["x"] * count, rows[start : start + count])
            start += count
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy"), rows)


def test_jsonl_reads_back_as_the_same_float32(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    texts = ["a", 'quo"te', "é"]
    with embedding_file(tmp_path / "rows.jsonl", 4) as write:
        write(texts, rows)
    read = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["text"] for line in read] == texts
    np.testing.assert_array_equal(np.array([line["embedding"] for line in read], dtype=np.float32), rows)


def test_nothing_is_left_of_a_file_that_is_not_finished(tmp_path: Path) -> None:
    def write_and_fail() -> None:
        with embedding_file(tmp_path / "rows.npy", 4) as write:
            write(["x"], np.zeros((1, 4), dtype=np.float32))
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    assert list(tmp_path.iterdir()) == []


def test_unknown_suffix(tmp_path: Path) -> None:
    with (
        pytest.raises(FileError, match=r"unknown suffix for embeddings, expected \.npy or \.jsonl"),
        embedding_file(tmp_path / "rows.txt", 4),
    ):
        pass
