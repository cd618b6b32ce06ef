"""CSV and TSV: values as they are written, and a bad record costs its line only."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portvec._bulk.sources import BadRow, Source, csv_records, fail, open_source, read_texts
from portvec.errors import FileError


def source(folder: Path, content: str | bytes, name: str = "a.csv", field: str | None = None) -> Source:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return open_source(folder / name, field=field)


def rows(of: Source) -> list[dict[str, str]]:
    return [json.loads(row) for block in of.read(fail) for row in block.json_rows()]


def left_out(of: Source) -> tuple[list[str], list[tuple[int, str]]]:
    """Return the texts, and the lines and reasons of bad rows."""
    bad: list[BadRow] = []
    texts = [text for block in of.read(bad.append) for text in block.texts]
    return texts, [(each.line, each.reason) for each in bad]


def test_values_stay_as_they_are_written(tmp_path: Path) -> None:
    found = source(tmp_path, '\ufeffid,text,x\r\n007,"b, c", 1.0 \r\n\r\n,"two\r\nlines","quo""te"\r\n')
    assert rows(found) == [
        {"id": "007", "text": "b, c", "x": " 1.0 "},
        {"id": "", "text": "two\r\nlines", "x": 'quo"te'},
    ]
    assert list(read_texts(source(tmp_path, "n,body\n1,a\n", "a.CSV", "body"))) == ["a"]


def test_tsv_has_tabs_and_the_same_quotes(tmp_path: Path) -> None:
    found = source(tmp_path, 'a\ttext\n1,2\t"x\ty"\n', "a.tsv")
    assert rows(found) == [{"a": "1,2", "text": "x\ty"}]


def test_rows_as_arrow(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    found = source(tmp_path, "id,text\n007,a\n8,b\n9,c\n")
    assert found.schema() == pa.schema([("id", pa.string()), ("text", pa.string())])
    (block,) = found.read(fail)
    batch = block.cut(1, 3).record_batch(found.schema())
    assert batch.to_pydict() == {"id": ["8", "9"], "text": ["b", "c"]}
    assert block.cut(3, 3).record_batch(found.schema()).num_rows == 0


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(
    st.lists(st.tuples(CELLS, CELLS), max_size=8), st.sampled_from([("csv", ","), ("tsv", "\t")]), st.data()
)
def test_rows_that_csv_writes_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    cells: list[tuple[str, str]],
    kind: tuple[str, str],
    data: st.DataObject,
) -> None:
    file = io.StringIO()
    csv.writer(file, delimiter=kind[1]).writerows([("text", "other"), *cells])
    found = source(tmp_path_factory.mktemp("csv"), file.getvalue(), f"a.{kind[0]}")
    back: list[tuple[str, str]] = []
    for block in found.read(fail):
        cut = data.draw(st.integers(0, len(block)))
        for part in (block.cut(0, cut), block.cut(cut, len(block))):
            back += [tuple(json.loads(row).values()) for row in part.json_rows()]
    assert back == cells


def test_a_quote_that_is_not_closed_costs_one_line(tmp_path: Path) -> None:
    found = source(tmp_path, 'text,n\na,1\n"b,2\nc,3\n"d\nd",4\n')
    reason = "not valid CSV (',' expected after '\"'); correct the line"
    assert left_out(found) == (["a", "c", "d\nd"], [(3, reason)])
    with pytest.raises(FileError, match=r"a\.csv, line 3: not valid CSV"):
        list(found.read(fail))
    last = source(tmp_path, 'text,n\na,1\n"b,2\nc,3\nd,4\n')
    reason = "not valid CSV (a quote is not closed); correct the line"
    assert left_out(last) == (["a", "c", "d"], [(3, reason)])
    with pytest.raises(
        FileError, match=r"a\.csv, line 3: not valid CSV \(a quote is not closed\); correct the"
    ):
        list(last.read(fail))


def test_rows_with_other_numbers_of_fields(tmp_path: Path) -> None:
    found = source(tmp_path, 'n,text\n1\n2,b\n3,"c\nc",x\n4,d\n5,e,f,g\n')
    assert left_out(found) == (
        ["b", "d"],
        [
            (2, "the row has 1 field, but the header 2; correct the line"),
            (4, "the row has 3 fields, but the header 2; correct the line"),
            (7, "the row has 4 fields, but the header 2; correct the line"),
        ],
    )


def test_bytes_that_are_not_utf8_cost_their_row(tmp_path: Path) -> None:
    found = source(tmp_path, b'text,n\n\xe9,1\nb,2\n"c\nx\xe9",3\nd,4\n"e,5\n\xe9,6\nf,7\n')
    assert left_out(found) == (
        ["b", "d", "f"],
        [
            (2, "not UTF-8 (byte 0xE9 at column 1); convert it to UTF-8"),
            (4, "in line 5: not UTF-8 (byte 0xE9 at column 2); convert it to UTF-8"),
            (7, "not valid CSV (a quote is not closed); correct the line"),
            (8, "not UTF-8 (byte 0xE9 at column 1); convert it to UTF-8"),
        ],
    )


def test_long_fields_are_read(tmp_path: Path) -> None:
    long = "x" * 200_000
    assert list(read_texts(source(tmp_path, f"text\n{long}\n"))) == [long]


def test_an_open_quote_takes_bounded_memory_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_records, "MOST_CHARACTERS", 1 << 20)
    found = source(tmp_path, 'text\n"a\n' + "b\n" * 1_000_000)
    texts, bad = left_out(found)
    assert texts == ["b"] * 1_000_000
    assert bad == [
        (2, "not valid CSV (more than 1 Mi characters, so a quote is not closed); correct the line")
    ]


def test_a_file_of_nothing_but_open_quotes_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_records, "MOST_AGAIN", 10_000)
    found = source(tmp_path, "text\n" + 'a","\n' * 1000)  # each line opens a quote, and the next closes it
    with pytest.raises(
        FileError, match=r"line \d+: not valid CSV \(too many quotes are not closed\); correct"
    ):
        left_out(found)


def test_the_limit_of_csv_is_only_raised(tmp_path: Path) -> None:
    before = csv.field_size_limit(sys.maxsize)
    try:
        list(read_texts(source(tmp_path, "text\na\n")))
        assert csv.field_size_limit() == sys.maxsize
    finally:
        csv.field_size_limit(before)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", r"a\.csv: no column 'text', has a, b; give another field=\.\.\.$"),
        ("", r"a\.csv: no column 'text', has none; give another field=\.\.\.$"),
        ("\n\n", r"a\.csv: no column 'text', has none; give another field=\.\.\.$"),
        ("text,a,a\n1,2,3\n", r"a\.csv: has two columns 'a'; rename one of them$"),
        ('text,"a\n', r"a\.csv, line 1: not valid CSV \(a quote is not closed\); correct the line$"),
        (b"text,\xe9\n", r"a\.csv, line 1: not UTF-8 \(byte 0xE9 at column 6\); convert it to UTF-8$"),
    ],
)
def test_a_header_that_does_not_name_the_columns(content: str | bytes, message: str, tmp_path: Path) -> None:
    found = source(tmp_path, content)
    with pytest.raises(FileError, match=message):
        left_out(found)
