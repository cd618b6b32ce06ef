"""JSON Lines: objects and strings, every other field as it was written, and types for Arrow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portvec._bulk.sources import BadRow, Source, fail, open_source, read_texts
from portvec.errors import FileError


def source(folder: Path, *lines: str | bytes, field: str | None = None) -> Source:
    path = folder / "a.jsonl"
    path.write_bytes(b"\n".join(each if isinstance(each, bytes) else each.encode() for each in lines))
    return open_source(path, field=field)


def json_rows(of: Source) -> list[str]:
    return [row for block in of.read(fail) for row in block.json_rows()]


def test_texts_of_objects_and_strings(tmp_path: Path) -> None:
    found = source(tmp_path, '{"text": "a"}', "", '"b\\u00e9"', "  ", '{"text": "c", "n": 1}')
    assert list(read_texts(found)) == ["a", "bé", "c"]
    assert found.text == "text"
    assert list(read_texts(source(tmp_path, '{"body": "a"}', field="body"))) == ["a"]


def test_other_fields_stay_as_they_were_written(tmp_path: Path) -> None:
    lines = [
        '{"n": 12345678901234567890, "x": 1.0, "text": "a", "e": 1E5, "s": "\\u00e9", "nan": NaN}',
        '{"text":"b","nested":{"a":[1,{}]}}',
    ]
    assert json_rows(source(tmp_path, *lines)) == lines
    assert json_rows(source(tmp_path, '  {"text": "a"} \r', '"b"')) == ['{"text": "a"}', '{"text": "b"}']
    assert json_rows(source(tmp_path, '"b"', field="body")) == ['{"body": "b"}']


def test_rows_are_safe_to_print_and_mean_the_same(tmp_path: Path) -> None:
    line = '{\t"text"\t: "\x7f\u202e\u2028", "k\x9b": 1\t}'
    (row,) = json_rows(source(tmp_path, line))
    assert row == r'{ "text" : "\u007f\u202e\u2028", "k\u009b": 1 }'
    assert json.loads(row) == json.loads(line)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(st.tuples(st.text(), st.dictionaries(st.text(), JSON, max_size=3)), max_size=8),
    st.booleans(),
    st.data(),
)
def test_rows_that_json_writes_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, dict[str, Any]]],
    ascii: bool,
    data: st.DataObject,
) -> None:
    objects = [{**others, "text": text} for text, others in rows]
    lines = [json.dumps(each, ensure_ascii=ascii) for each in objects]
    found = source(tmp_path_factory.mktemp("json"), *lines)
    blocks = list(found.read(fail))
    assert [text for block in blocks for text in block.texts] == [text for text, _ in rows]
    for block in blocks:
        cut = data.draw(st.integers(0, len(block)))
        back = [
            json.loads(row)
            for part in (block.cut(0, cut), block.cut(cut, len(block)))
            for row in part.json_rows()
        ]
        assert list(map(repr, back)) == list(map(repr, objects))  # NaN is not equal to itself


def test_bad_rows_are_reported_and_left_out(tmp_path: Path) -> None:
    found = source(
        tmp_path,
        '{"text": "good"}',
        '{"text"',
        "",
        "[" * 100_000,
        "1",
        '{"text": null}',
        '{"body": "x"}',
        '{"text": "b\\ud800"}',
        b'"\xe9"',
        '"a" "b"',
        '{"text": "good too", "note": "\\ud800"}',
    )
    bad: list[BadRow] = []
    (block,) = found.read(bad.append)
    assert block.texts == ["good", "good too"]
    expected = "expected a string or an object with a string 'text', got "
    assert [(each.line, each.reason[:64]) for each in bad] == [
        (2, "not valid JSON (Expecting ':' delimiter: line 1 column 8 (char 7"),
        (4, bad[1].reason[:64]),
        (5, f"{expected}1; give"[:64]),
        (6, f'{expected}{{"text": null}}'[:64]),
        (7, f'{expected}{{"body": "x"}}'[:64]),
        (
            8,
            "the text holds the lone surrogate U+D800 at character 1, which is not text; correct the line"[
                :64
            ],
        ),
        (9, "not UTF-8 (byte 0xE9 at column 2); convert it to UTF-8"),
        (10, "not valid JSON (Extra data: line 1 column 5 (char 4)); correct t"),
    ]
    assert bad[1].reason.startswith("not valid JSON (")
    assert all("\n" not in each.message() for each in bad)
    with pytest.raises(FileError, match=r"a\.jsonl, line 2: not valid JSON .*; correct the line$"):
        list(found.read(fail))


class TestSchema:
    @pytest.fixture(autouse=True)
    def _pyarrow(self) -> None:
        pytest.importorskip("pyarrow")

    def batches(self, found: Source) -> list[dict[str, Any]]:
        schema = found.schema()
        return [row for block in found.read(fail) for row in block.record_batch(schema).to_pylist()]

    def test_types_hold_all_rows(self, tmp_path: Path) -> None:
        import pyarrow as pa

        found = source(
            tmp_path,
            '{"n": 1, "text": "a", "b": true, "none": null, "day": "2020-01-02"}',
            '"only a text"',
            "not JSON",
            '{"text": "b", "n": 2.5, "list": [], "object": {"x": 1}}',
            '{"text": "c", "n": null, "list": [1], "object": {"y": [{"z": null}], "x": 0.5}}',
        )
        assert found.schema() == pa.schema(
            [
                ("n", pa.float64()),
                ("text", pa.string()),
                ("b", pa.bool_()),
                ("none", pa.null()),
                ("day", pa.string()),
                ("list", pa.list_(pa.int64())),
                (
                    "object",
                    pa.struct([("x", pa.float64()), ("y", pa.list_(pa.struct([("z", pa.null())])))]),
                ),
            ]
        )

    def test_rows_keep_their_values(self, tmp_path: Path) -> None:
        rows = [
            {"text": "a", "n": 2**63 - 1, "l": [[1.5], None], "o": {"x": 1}},
            {"text": "b", "n": -(2**63), "l": [], "o": None},
            {"text": "c", "n": None, "l": None, "o": {"x": None}},
        ]
        assert self.batches(source(tmp_path, *map(json.dumps, rows))) == rows

    def test_without_rows_there_is_the_column_of_texts(self, tmp_path: Path) -> None:
        assert source(tmp_path, "", field="body").schema().names == ["body"]

    @pytest.mark.parametrize("rows", [1, 5000])
    @pytest.mark.parametrize(
        ("first", "second", "message"),
        [
            ('"n": 1', '"n": "x"', "the field 'n' is of type string, but of type integer in {0}, line 1"),
            ('"n": "x"', '"n": 1.5', "the field 'n' is of type number, but of type string in {0}, line 1"),
            ('"n": 1.5', '"n": true', "the field 'n' is of type boolean, but of type number in {0}, line 1"),
            ('"n": [1]', '"n": {"a": 1}', "the field 'n' is of type object, but of type list in {0}, line 1"),
            (
                '"n": [1]',
                '"n": [2, "a"]',
                "the field 'n[]' is of type string, but of type integer in {0}, line 1",
            ),
            (
                '"n": {"a": [{"b": 1}]}',
                '"n": {"a": [{"b": "x"}]}',
                "the field 'n.a[].b' is of type string, but of type integer in {0}, line 1",
            ),
            ('"n": 1', '"n": 9223372036854775808', "the field 'n' holds an integer beyond int64"),
            ('"n": 1', '"n": -9223372036854775809', "the field 'n' holds an integer beyond int64"),
            ('"n": 1', '"n": "\\ud800"', "the field 'n' is of type string, but"),
            ('"n": "a"', '"n": "\\ud800"', "the field 'n' holds a lone surrogate, which is not text"),
            ('"n": 1', '"\\udfff": 1', "the field '\\udfff' has a lone surrogate in its name"),
            (
                '"n": 0.5',
                '"n": 9007199254740993',
                "the field 'n' holds an integer beyond 2^53, but a number with a fraction in {0}, line 1",
            ),
            (
                '"n": 1',
                f'"m": {"[" * 70}{"]" * 70}',
                f"the field 'm{'[]' * 64}' is nested more than 64 levels deep",
            ),
        ],
    )
    def test_values_that_no_type_holds_together(
        self, rows: int, first: str, second: str, message: str, tmp_path: Path
    ) -> None:
        middle = f'{{"text": "a", {first}}}'
        found = source(tmp_path, *[middle] * rows, f'{{"text": "b", {second}}}', middle)
        path = tmp_path / "a.jsonl"
        with pytest.raises(FileError) as caught:
            found.schema()
        assert str(caught.value).startswith(f"{path}, line {rows + 1}: {message.format(path)}")
        assert str(caught.value).endswith(
            "; correct it, or choose .jsonl output, which keeps values as they are"
        )
        assert len(json_rows(found)) == rows + 2

    def test_a_large_integer_is_named_if_a_number_follows(self, tmp_path: Path) -> None:
        found = source(tmp_path, '{"text": "", "n": -9007199254740993}', '{"text": "", "n": 0.5}')
        path = tmp_path / "a.jsonl"
        message = (
            f"{path}, line 1: the field 'n' holds an integer beyond 2^53, but a number with a fraction in "
        )
        with pytest.raises(FileError) as caught:
            found.schema()
        assert str(caught.value).startswith(f"{message}{path}, line 2;")

    @given(st.lists(st.dictionaries(st.sampled_from("abc"), JSON, max_size=3), max_size=6))
    def test_a_schema_that_is_found_fits(
        self, tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
    ) -> None:
        rows = [{**row, "text": "x"} for row in rows]
        found = source(tmp_path_factory.mktemp("json"), *map(json.dumps, rows))
        try:
            back = self.batches(found)
        except FileError:
            return
        for row, other in zip(rows, back, strict=True):
            assert repr(_without_nulls(other)) == repr(_without_nulls(_in_order(row, other)))


def _in_order(value: Any, like: Any) -> Any:
    """Return a value with the names in the order of `like`, and numbers of its types."""
    if isinstance(value, dict) and isinstance(like, dict):
        return {name: _in_order(value[name], like[name]) for name in like if name in value}
    if isinstance(value, list):
        return [_in_order(each, other) for each, other in zip(value, like, strict=True)]
    return float(value) if isinstance(like, float) else value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value
