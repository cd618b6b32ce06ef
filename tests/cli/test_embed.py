"""`portvec embed`: files and lines in, JSON and arrays out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from command_line import RunPortvec
from portvec import StaticEmbedder

TEXTS = ("first text", "second, with ünïcode 日本", "third")


def expected(tiny: Path) -> np.ndarray:
    return StaticEmbedder.load(tiny).encode(TEXTS)


def write_texts(folder: Path, suffix: str) -> Path:
    path = folder / f"texts{suffix}"
    if suffix == ".jsonl":
        rows = [json.dumps({"id": i, "text": text}) for i, text in enumerate(TEXTS)]
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    elif suffix == ".csv":
        rows = ["id,text", *(f'{i},"{text}"' for i, text in enumerate(TEXTS))]
        path.write_text("\n".join(rows) + "\n", encoding="utf-8-sig")
    else:
        path.write_text("\n".join(TEXTS), encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv"])
@pytest.mark.parametrize("output", [None, "out.jsonl", "out.npy"])
def test_files(portvec: RunPortvec, tiny: Path, tmp_path: Path, suffix: str, output: str | None) -> None:
    path = write_texts(tmp_path, suffix)
    result = portvec("embed", tiny, "-i", path, *(["-o", output] if output else []))
    assert result.returncode == 0
    if output == "out.npy":
        embeddings = np.load(tmp_path / output)
    else:
        text = (tmp_path / output).read_text(encoding="utf-8") if output else result.stdout
        rows = [json.loads(line) for line in text.splitlines()]
        assert [row["text"] for row in rows] == list(TEXTS)
        embeddings = np.array([row["embedding"] for row in rows], dtype=np.float32)
    if output:
        assert result.stdout == ""
        assert result.stderr == f"{output}: 3 embeddings of dimension 24\n"
    assert embeddings.dtype == np.float32
    np.testing.assert_array_equal(embeddings, expected(tiny))


def test_standard_input(portvec: RunPortvec, tiny: Path) -> None:
    for arguments in ([], ["-i", "-"]):
        result = portvec("embed", tiny, *arguments, stdin="\n".join(TEXTS))
        rows = [json.loads(line)["embedding"] for line in result.stdout.splitlines()]
        np.testing.assert_array_equal(np.array(rows, dtype=np.float32), expected(tiny))


def test_field(portvec: RunPortvec, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "first text"}\n')
    (tmp_path / "a.csv").write_text("body\nfirst text\n")
    for name in ("a.jsonl", "a.csv"):
        result = portvec("embed", tiny, "-i", name, "--field", "body")
        assert list(json.loads(result.stdout)) == ["body", "embedding"]


def test_no_texts_give_an_empty_array(portvec: RunPortvec, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    assert portvec("embed", tiny, "-i", "empty.txt", "-o", "out.npy").returncode == 0
    assert np.load(tmp_path / "out.npy").shape == (0, 24)


def test_row_n_is_that_of_line_n(portvec: RunPortvec, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\nfirst text\n\n \nthird\n", encoding="utf-8")
    assert portvec("embed", tiny, "-i", "a.txt", "-o", "out.npy").returncode == 0
    lines = ["", "first text", "", " ", "third"]
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), StaticEmbedder.load(tiny).encode(lines))


def test_other_suffixes_are_not_read_as_lines(portvec: RunPortvec, tiny: Path, tmp_path: Path) -> None:
    for name in ("a.json", "a.md", "a", "a.bin.gz"):
        (tmp_path / name).write_text("x\n")
        result = portvec("embed", tiny, "-i", name)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith(f"portvec: error: {name}: unknown suffix for texts, expected .txt, ")


def test_ten_thousand_texts(portvec: RunPortvec, tiny: Path, tmp_path: Path) -> None:
    texts = [f"text number {i}" for i in range(10_001)]
    (tmp_path / "many.txt").write_text("\n".join(texts))
    assert portvec("embed", tiny, "-i", "many.txt", "-o", "out.npy").returncode == 0
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), StaticEmbedder.load(tiny).encode(texts))


def test_failure_half_way_leaves_the_file_as_it_was(portvec: RunPortvec, tiny: Path, tmp_path: Path) -> None:
    lines = ['{"text": "x"}'] * 5000 + ["broken"]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    (tmp_path / "out.npy").write_text("as it was")
    result = portvec("embed", tiny, "-i", "a.jsonl", "-o", "out.npy", "--overwrite")
    assert result.returncode == 1
    assert "a.jsonl, line 5001: not valid JSON (" in result.stderr
    assert (tmp_path / "out.npy").read_text() == "as it was"
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        (
            "a.jsonl",
            '{"body": "x"}',
            [],
            "a.jsonl, line 1: expected a string or an object with a string 'text'",
        ),
        ("a.csv", "a,b\n1,2\n", [], "a.csv: no column 'text', has a, b; give another --field"),
        ("a.csv", "", [], "a.csv: no column 'text', has none"),
        (
            "a.csv",
            "id,text\n1\n",
            [],
            "a.csv, line 2: the row has 1 field, but the header 2; correct the line",
        ),
        (
            "a.csv",
            'text\na\n"b\nc\n',
            [],
            "a.csv, line 3: not valid CSV (a quote is not closed); correct the",
        ),
        ("a.jsonl", "[" * 100_000, [], "a.jsonl, line 1: not valid JSON ("),
        (
            "a.txt",
            "x",
            ["--field", "f"],
            "a field is for .jsonl, .csv, .tsv, .parquet and .arrow files; leave out --field",
        ),
        ("a.txt", b"\xff\xfe", [], "a.txt, line 1: not UTF-8 (byte 0xFF at column 1); convert"),
        (
            "a.txt",
            "x",
            ["-o", "out.txt"],
            "out.txt: unknown suffix for embeddings, expected one of .npy, .jsonl, .parquet, .arrow",
        ),
        (
            "a.txt",
            "x",
            ["-o", "no/such/out.npy"],
            "out.npy: cannot be written (No such file or directory)",
        ),
        (".", None, [], ".: the folder has no file of texts; for those in folders of it, give a pattern"),
        ("missing.txt", None, [], "missing.txt: cannot be read (No such file or directory)"),
    ],
)
def test_bad_files(
    portvec: RunPortvec,
    tiny: Path,
    tmp_path: Path,
    name: str,
    content: str | bytes | None,
    options: list[str],
    message: str,
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    result = portvec("embed", tiny, "-i", name, *options)
    assert result.returncode == 1
    assert result.stderr.startswith("portvec: error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_rows_that_are_skipped(portvec: RunPortvec, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n{"text": 1}\n{"text": "y"}\n')
    result = portvec("embed", tiny, "-i", "a.jsonl", "-o", "out.npy", "--on-error", "skip")
    assert result.stderr == (
        "out.npy: 2 embeddings of dimension 24; 1 rows skipped, see out.npy.skipped.jsonl\n"
    )
    (row,) = map(json.loads, (tmp_path / "out.npy.skipped.jsonl").read_text().splitlines())
    assert (row["file"], row["line"]) == ("a.jsonl", 2)
    printed = portvec("embed", tiny, "-i", "a.jsonl", "--on-error", "skip")
    assert printed.stdout.count("\n") == 2
    assert printed.stderr.startswith("skipped a.jsonl, line 2: expected a string or an object")
    quiet = portvec("embed", tiny, "-i", "a.jsonl", "--on-error", "skip", "-q")
    assert (quiet.stdout, quiet.stderr) == (printed.stdout, "")


def test_an_output_is_not_replaced(portvec: RunPortvec, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "out.npy").write_text("precious")
    result = portvec("embed", tiny, "x", "-o", "out.npy")
    message = "portvec: error: out.npy: exists; choose another output, or pass --overwrite\n"
    assert (result.returncode, result.stderr) == (1, message)
    assert (tmp_path / "out.npy").read_text() == "precious"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "ray"], "--engine embeds Parquet files into a folder; give both with -i and -o"),
        (["--address", "auto"], "--address is for --engine; leave it out, or give --engine ray"),
        (["--engine", "ray", "-i", "a", "-o", "milvus:a.db/docs"], "--engine embeds Parquet files into a"),
        (
            ["--engine", "ray", "-i", "a", "-o", "b", "--format", "csv"],
            "--format is for files of other formats, and --engine reads Parquet; leave it out",
        ),
        (
            ["x", "--format", "txt"],
            "--format is for rows of files, not for texts as arguments",
        ),
        (
            ["x", "--field", "body"],
            "--field is for rows of files, not for texts as arguments",
        ),
        (
            ["x", "--on-error", "skip"],
            "--on-error is for rows of files, not for texts as arguments",
        ),
        (["x", "--overwrite"], "--overwrite is for an output; give one with -o"),
        (["x", "--part-rows", "5"], "--part-rows is for an output; give one with -o"),
        (["x", "-o", "a.npy", "--id", "n"], "--id is for rows in Milvus; give -o milvus:URI/COLLECTION"),
        (["x", "-o", "a.npy", "--metric", "IP"], "--metric is for rows in Milvus; give -o milvus:"),
        (["x", "--milvus-token", "t"], "--milvus-token is for rows in Milvus; give -o milvus:"),
        (
            ["x", "-o", "a.npy", "--vectors-as", "list"],
            "--vectors-as is for Parquet and Arrow files; give such an output",
        ),
        (
            ["x", "-o", "a.npy", "--vector-field", "v"],
            "--vector-field is for outputs with names, which .npy has not; give another output",
        ),
        (["x", "-o", "milvus:here/docs"], "here/docs: expected URI/COLLECTION, where the URI is a file of"),
        (["x", "-o", "milvus:a.db/docs", "--dtype", "float16"], "rows for Milvus have vectors of float32"),
    ],
)
def test_options_that_do_not_fit(portvec: RunPortvec, tiny: Path, options: list[str], message: str) -> None:
    result = portvec("embed", tiny, *options)
    assert result.returncode in (1, 2)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
