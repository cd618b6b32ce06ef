"""What is refused as texts, and in which words."""

from __future__ import annotations

import io
from collections import Counter, deque
from collections.abc import Iterator, Set
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from portvec._tokenization.texts import check_iterable, check_texts, refuse_surrogates
from portvec.errors import InputError


class Word(str):
    __slots__ = ()


@pytest.mark.parametrize("text", ["", "abc", Word("a"), np.str_("abc")])
def test_a_single_text(text: str) -> None:
    for name in ("texts", "queries"):
        with pytest.raises(
            InputError, match=rf"^{name} is an? \w+, expected a list of str; wrap it as \[text\]$"
        ):
            check_iterable(text, name)


TEXTS = ["one", "", "drei"]
ARRAY = pa.array(TEXTS)
ORDERED: dict[str, Any] = {
    "list": TEXTS,
    "tuple": tuple(TEXTS),
    "iterator": iter(TEXTS),
    "generator": (text for text in TEXTS),
    "map": map(str, TEXTS),
    "deque": deque(TEXTS),
    "dict keys": dict.fromkeys(TEXTS).keys(),
    "dict values": dict(enumerate(TEXTS)).values(),
    "subclasses of str": [Word(text) for text in TEXTS],
    "numpy": np.array(TEXTS),
    "numpy objects": np.array(TEXTS, dtype=object),
    "numpy elements": list(np.array(TEXTS)),
    "pandas objects": pd.Series(TEXTS, dtype=object),
    "pandas strings": pd.Series(TEXTS, dtype="string"),
    "pandas category": pd.Series(TEXTS, dtype="category"),
    "pandas, named like a table's attribute": pd.Series(TEXTS, index=["columns", "column_names", "readline"]),
    "pandas index": pd.Index(TEXTS),
    "pandas array": pd.array(TEXTS, dtype="string"),
    "polars": pl.Series(TEXTS),
    "polars category": pl.Series(TEXTS, dtype=pl.Categorical),
    "pyarrow": ARRAY,
    "pyarrow large strings": ARRAY.cast(pa.large_string()),
    "pyarrow dictionary": ARRAY.dictionary_encode(),
    "pyarrow chunks": pa.chunked_array([TEXTS[:1], [], TEXTS[1:]]),
}


@pytest.mark.parametrize("name", ORDERED)
def test_texts_in_order(name: str) -> None:
    texts = check_texts(list(check_iterable(ORDERED[name])))
    assert texts == TEXTS
    assert {type(text) for text in texts} == {str}


def test_what_is_ordered_is_returned_as_it_is() -> None:
    for name in ("list", "tuple", "generator", "numpy", "pandas objects"):
        assert check_iterable(ORDERED[name]) is ORDERED[name]


def test_a_long_pyarrow_array_keeps_its_order() -> None:
    texts = [str(number) for number in range(5000)]
    for array in (pa.array(texts), pa.chunked_array([texts[:7], texts[7:]]), pa.array([])):
        assert list(check_iterable(array)) == array.to_pylist()


class Unordered(Set[str]):
    """A set of the user's own, without `__reversed__`."""

    def __contains__(self, text: object) -> bool:
        return text in TEXTS

    def __iter__(self) -> Iterator[str]:
        return iter(TEXTS)

    def __len__(self) -> int:
        return len(TEXTS)


COLUMN = r"pass one column, such as texts\['text'\]"
VALUES = r"pass list\(texts.values\(\)\)"
SORTED = r"a set has none, pass sorted\(texts\)"
LINES = r"a file gives lines with their ends, pass \(line.rstrip\('\\n'\) for line in texts\)"
TABLE = {"text": TEXTS, "number": [1, 2, 3]}
REFUSED: list[tuple[Any, str, str]] = [
    (pd.DataFrame(TABLE), "DataFrame", COLUMN),
    (pd.DataFrame(TABLE)[["text"]], "DataFrame", COLUMN),
    (pl.DataFrame(TABLE), "DataFrame", COLUMN),
    (pl.DataFrame(TABLE).lazy(), "LazyFrame", COLUMN),
    (pa.table(TABLE), "Table", COLUMN),
    (pa.RecordBatch.from_pydict(TABLE), "RecordBatch", COLUMN),
    ({}, "dict", VALUES),
    (Counter(TEXTS), "Counter", VALUES),
    (MappingProxyType({"a": "b"}), "mappingproxy", VALUES),
    (set(TEXTS), "set", SORTED),
    (frozenset(TEXTS), "frozenset", SORTED),
    (Unordered(), "Unordered", SORTED),
    (io.StringIO("one\ntwo\n"), "StringIO", LINES),
    (io.BytesIO(b"one\ntwo\n"), "BytesIO", LINES),
    (b"abc", "bytes", "decode it to a str"),
    (bytearray(b"abc"), "bytearray", "decode it to a str"),
    (memoryview(b"abc"), "memoryview", "decode it to a str"),
    (None, "NoneType", "pass a list of str"),
    (3, "int", "pass a list of str"),
    (Path("texts.txt"), type(Path()).__name__, "pass a list of str"),
    (np.float32(1), "float32", "pass a list of str"),
    (np.array("abc"), "ndarray", r"it has 0 dimensions, pass one .* texts.ravel\(\)"),
    (np.array([TEXTS]), "ndarray", r"it has 2 dimensions, pass one .* texts.ravel\(\)"),
]


@pytest.mark.parametrize(("texts", "kind", "remedy"), REFUSED)
def test_what_is_no_sequence_of_texts(texts: Any, kind: str, remedy: str) -> None:
    rule = "expected a str or an iterable of str in order"
    with pytest.raises(InputError, match=f"^texts is of type {kind}, {rule}; {remedy}$"):
        check_iterable(texts)
    with pytest.raises(
        InputError, match=f"^queries is of type {kind}, {rule}; {remedy.replace('texts', 'queries')}$"
    ):
        check_iterable(texts, "queries")


def test_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("one\ntwo\n")
    message = f"^texts is of type TextIOWrapper, .*; {LINES}$"
    with path.open() as file, pytest.raises(InputError, match=message):
        check_iterable(file)


@pytest.mark.parametrize(
    "missing", [None, float("nan"), np.float32("nan"), np.float64("nan"), pd.NA, pd.NaT], ids=str
)
def test_missing_values(missing: Any) -> None:
    message = r"^texts\[11\] is (None|nan|<NA>|NaT), a missing value; drop it, or replace it with ''$"
    with pytest.raises(InputError, match=message):
        check_texts(["a", missing], 10)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["a", None], dtype=object),
        pd.Series(["a", None], dtype="string"),
        pd.Series(["a", np.nan]),
        pd.Series(["a", None], dtype="category"),
        pl.Series(["a", None]),
        pa.array(["a", None]),
        pa.chunked_array([["a"], [None]]),
    ],
)
def test_missing_values_of_columns(column: Any) -> None:
    with pytest.raises(InputError, match=r"^texts\[1\] is (None|nan|<NA>), a missing value; drop it"):
        check_texts(list(check_iterable(column)))


@pytest.mark.parametrize("texts", [[], ["a"], ("a", "b"), [Word("a"), "b"], (Word("a"), Word("b"))])
def test_texts_become_a_list(texts: Any) -> None:
    assert check_texts(texts) == list(texts)
    assert isinstance(check_texts(texts), list)
    assert check_texts(texts) is not texts
    assert {type(text) for text in check_texts(texts)} <= {str}


def test_a_subclass_of_str_stands_for_its_characters() -> None:
    class Colour(str, Enum):
        RED = "red"

    class Loud(str):
        __slots__ = ()

        def __str__(self) -> str:
            return self.upper()

    assert check_texts([Colour.RED, Loud("a")]) == ["red", "a"]


@pytest.mark.parametrize(
    ("element", "kind"),
    [
        (1, "int"),
        (1.5, "float"),
        (b"a", "bytes"),
        (["a"], "list"),
        (("a", "b"), "tuple"),
        ((text for text in "ab"), "generator"),
        (pd.Series(["a"]), "Series"),
        (np.array(["a", "b"]), "ndarray"),
        (pa.scalar("a"), "StringScalar"),
    ],
)
def test_elements_that_are_no_text(element: object, kind: str) -> None:
    rule = "expected str; drop it or convert it before encoding$"
    with pytest.raises(InputError, match=rf"^texts\[0\] is of type {kind}, {rule}"):
        check_texts([element])
    with pytest.raises(InputError, match=rf"^texts\[2\] is of type {kind}, {rule}"):
        check_texts(["a", Word("b"), element, element])
    with pytest.raises(InputError, match=rf"^texts\[11\] is of type {kind}, {rule}"):
        check_texts(["a", element], 10)


def test_lone_surrogates() -> None:
    refuse_surrogates([])
    refuse_surrogates(["a", "\U0001f600", "\ud7ff\ue000"])
    with pytest.raises(
        InputError,
        match=r"^texts\[1\] holds the lone surrogate U\+D800 at character 2, which is not text; decode the "
        r"source with errors='replace'$",
    ):
        refuse_surrogates(["a", "ab\ud800", "\udfff"])
    with pytest.raises(InputError, match=r"^texts\[7\] holds the lone surrogate U\+DFFF at character 0,"):
        refuse_surrogates(["\udfff"], 7)
