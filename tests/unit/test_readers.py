"""Files of texts, and files of embeddings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from portvec._bulk.readers import read_texts
from portvec._bulk.writers import embedding_file

from portvec.errors import FileError, OptionError

CASES = {
    "lines.txt": ("a\n\n b \r\nc", None, ["a", " b ", "c"]),
    "bom.txt": ("\ufeffa\n", None, ["a"]),
    "objects.jsonl": ('{"text": "a"}\n\n{"text": "b", "n": 1}\n', None, ["a", "b"]),
    "strings.jsonl": ('"a"\n"b\\u00e9"\n', None, ["a", "bé"]),
    "field.jsonl": ('{"body": "a"}\n', "body", ["a"]),
    "table.csv": ('text,n\na,1\n"b, c",2\n', None, ["a", "b, c"]),
    "field.CSV": ("n,body\n1,a\n", "body", ["a"]),
    "lines.csv": ('text\n"two\nlines"\n', None, ["two\nlines"]),
}


@pytest.mark.parametrize("name", CASES)
def test_texts_of_a_file(name: str, tmp_path: Path) -> None:
    content, field, expected = CASES[name]
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert list(read_texts(tmp_path / name, field)) == expected


FAULTS = {
    "missing.txt": (None, None, r"missing\.txt: cannot be read \(No such file"),
    "latin.txt": (
        b"a\n\ncaf\xe9\n",
        None,
        r"latin\.txt, line 3: not UTF-8 \(byte 0xE9 at column 4\); convert it to UTF-8",
    ),
    "latin.jsonl": (b'"a"\n"\xe9"', None, r"latin\.jsonl, line 2: not UTF-8 \(byte 0xE9 at column 2\);"),
    "latin.csv": (b"text\na\n\xe9", None, r"latin\.csv, line 3: not UTF-8 \(byte 0xE9 at column 1\);"),
    "utf16.txt": ("a".encode("utf-16"), None, r"utf16\.txt, line 1: not UTF-8 \(byte 0xFF at column 1\);"),
    "nested.jsonl": (b"[" * 100_000, None, r"nested\.jsonl, line 1: not valid JSON \("),
    "surrogate.jsonl": (
        b'"a"\n{"text": "b\\ud800"}',
        None,
        r"line 2: the text holds the lone surrogate U\+D800 at character 1, which is not text; correct the",
    ),
    "long.csv": (
        b"text\n" + b"x" * 200_000,
        None,
        r"long\.csv, line 2: not valid CSV \(field larger than field limit .*\); convert the file to \.jsonl",
    ),
    "broken.jsonl": (b'"a"\n{"text"', None, r"broken\.jsonl, line 2: not valid JSON"),
    "number.jsonl": (
        b"1\n",
        None,
        r"line 1: expected a string or an object with a string 'text', got 1; ",
    ),
    "null.jsonl": (b'{"text": null}', None, r"line 1: expected a string or an object with a string 'text'"),
    "other.csv": (b"a,b\n1,2\n", None, r"other\.csv: no column 'text', has a, b; give another field=\.\.\."),
    "empty.csv": (b"", None, r"empty\.csv: no column 'text', has none"),
    "short.csv": (b"n,text\n1\n", None, r"short\.csv, line 2: the row has no column 'text'"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_in_one_line(name: str, tmp_path: Path) -> None:
    content, field, message = FAULTS[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError, match=message) as caught:
        list(read_texts(tmp_path / name, field))
    assert "\n" not in str(caught.value)


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


def test_field_of_a_file_without_fields(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(
        OptionError, match=r"a\.txt: a field is for \.jsonl and \.csv files; leave out field='b"
    ):
        list(read_texts(tmp_path / "a.txt", "body"))
