"""Files of lines: every line is a row, blank ones too, so that row n of the output is line n of the file."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portvec._bulk.sources import BadRow, fail, open_source, open_stream, read_texts
from portvec._bulk.sources import lines as lines_module
from portvec._bulk.sources.lines import Lines, read_lines
from portvec.errors import FileError, OptionError


def write(folder: Path, content: str | bytes, name: str = "a.txt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a\n\n b \r\nc", ["a", "", " b ", "c"]),
        ("\ufeffa\n", ["a"]),
        ("\ufeff", []),
        ("\ufeff\n", [""]),
        ("\n", [""]),
        ("\n\n", ["", ""]),
        ("", []),
        ("a\rb\r\rc\r\n", ["a", "b", "", "c"]),
        ("a\x0bb\x85c\u2028d\x1ce\n", ["a\x0bb\x85c\u2028d\x1ce"]),  # no line ends of text files
        ("a\n\ufeffb\n", ["a", "\ufeffb"]),
    ],
)
def test_every_line_is_a_row(content: str, expected: list[str], tmp_path: Path) -> None:
    assert list(read_texts(open_source(write(tmp_path, content)))) == expected


def texts_of(groups: Iterable[Lines]) -> list[str]:
    return [text for lines in groups for text in lines.texts]


def faults_of(groups: Iterable[Lines]) -> dict[int, str]:
    return {lines.number + index: fault for lines in groups for index, fault in lines.faults.items()}


@given(st.binary(max_size=40), st.integers(1, 9))
def test_lines_do_not_depend_on_how_the_file_is_read(content: bytes, size: int) -> None:
    content = content.replace(b"0", b"\r").replace(b"1", b"\n")
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    whole, parts = list(read_lines([content])), list(read_lines(chunks))
    assert texts_of(whole) == texts_of(parts)
    assert faults_of(whole) == faults_of(parts)
    if not faults_of(parts):
        text = content.decode("utf-8-sig")
        assert "".join(texts_of(read_lines(chunks, keep_ends=True))) == text
        assert texts_of(parts) == [line.removesuffix("\n") for line in io.StringIO(text, newline=None)]


def test_blocks_are_bounded_and_depend_on_the_content_only(tmp_path: Path) -> None:
    lines = [f"line {i}" for i in range(9_000)] + ["x" * 3_000_000] * 3 + ["y" * 5_000_000] + ["z"] * 5
    path = write(tmp_path, "\n".join(lines))
    sizes = [len(block) for block in open_source(path).read(fail)]
    assert sizes == [4096, 4096, 809, 1, 1, 1, 5]
    slow = open_stream(_Trickle(path.read_bytes()), "slow")
    assert [len(block) for block in slow.read(fail)] == sizes


class _Trickle(io.BytesIO):
    """Gives a few bytes at a time, as a pipe may do."""

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return super().readinto(memoryview(buffer)[:70_001])


def test_what_a_source_says_of_itself(tmp_path: Path) -> None:
    path = write(tmp_path, "a\nb\n")
    source = open_source(path)
    assert (source.name, source.files, source.text) == (str(path), (path,), "text")
    assert (source.rows, source.size, source.bytes_read) == (None, 4, 0)
    (block,) = source.read(fail)
    assert source.bytes_read == 4
    assert [block.cut(1, 5).texts, len(block), len(block.cut(0, 1))] == [["b"], 2, 1]


def test_rows_as_json_and_arrow(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    texts = ['quo"te', "é\x1b[1m\u202e", ""]
    source = open_source(write(tmp_path, "\n".join(texts) + "\n"))
    (block,) = source.read(fail)
    rows = list(block.json_rows())
    assert rows[1] == r'{"text": "é\u001b[1m\u202e"}'
    assert [json.loads(row) for row in rows] == [{"text": text} for text in texts]
    assert source.schema() == pa.schema([("text", pa.string())])
    batch = block.cut(1, 3).record_batch(source.schema())
    assert batch.to_pydict() == {"text": texts[1:]}


def test_bytes_that_are_not_utf8_cost_their_line_only(tmp_path: Path) -> None:
    path = write(tmp_path, b"a\n\ncaf\xe9\r\nb\n\xed\xa0\x80\n")
    bad: list[BadRow] = []
    (block,) = open_source(path).read(bad.append)
    assert block.texts == ["a", "", "b"]
    assert [each.message() for each in bad] == [
        f"{path}, line 3: not UTF-8 (byte 0xE9 at column 4); convert it to UTF-8",
        f"{path}, line 5: not UTF-8 (byte 0xED at column 1); convert it to UTF-8",
    ]
    with pytest.raises(FileError, match=r"a\.txt, line 3: not UTF-8 \(byte 0xE9 at column 4\); convert it"):
        list(read_texts(open_source(path)))


def test_utf16_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "a".encode("utf-16"))
    with pytest.raises(FileError, match=r"line 1: not UTF-8 \(byte 0xFF at column 1\);"):
        list(read_texts(open_source(path)))


@pytest.mark.parametrize("chunk", [1, 2, 7, 50])
def test_a_line_without_end_is_not_held_in_memory(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MOST_BYTES", 50)
    content = b"a\n" + b"x" * 51 + b"\r\n" + b"y" * 50 + b"\nb\n" + b"z" * 51
    chunks = [content[start : start + chunk] for start in range(0, len(content), chunk)]

    def rows() -> Iterator[tuple[int, str | None]]:
        for lines in read_lines(chunks):
            for index, text in enumerate(lines.texts):
                yield lines.number + index, None if index in lines.faults else text

    assert list(rows()) == [(1, "a"), (2, None), (3, "y" * 50), (4, "b"), (5, None)]


def test_a_field_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a")
    message = (
        r"a\.txt: a field is for \.jsonl, \.csv, \.tsv, \.parquet and \.arrow files; leave out field='b'"
    )
    with pytest.raises(OptionError, match=message):
        open_source(path, field="b")


def test_a_stream_has_the_rules_of_its_format() -> None:
    lines = open_stream(io.BytesIO(b"\xef\xbb\xbfa\n\nb"), "standard input")
    assert (lines.files, lines.size) == ((), 0)
    assert list(read_texts(lines)) == ["a", "", "b"]
    objects = open_stream(io.BytesIO(b'{"t": "a"}\n\n'), "standard input", format="jsonl", field="t")
    assert list(read_texts(objects)) == ["a"]
    with pytest.raises(
        OptionError, match=r"standard input: parquet is not read from a stream; write it to a"
    ):
        open_stream(io.BytesIO(), "standard input", format="parquet")
    with pytest.raises(
        OptionError, match=r"format 'json' is unknown, expected one of txt, jsonl, csv, tsv, parq"
    ):
        open_stream(io.BytesIO(), "standard input", format="json")
    pytest.importorskip("pyarrow")
    with pytest.raises(FileError, match=r"standard input: can be read only once, and its columns have to"):
        objects.schema()
