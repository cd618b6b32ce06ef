"""What is refused as texts, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from portvec._tokenization.texts import check_iterable, check_texts, refuse_single_text, refuse_surrogates
from portvec.errors import InputError


class Word(str):
    __slots__ = ()


def test_a_single_text() -> None:
    with pytest.raises(InputError, match="queries"):
        refuse_single_text("a", "queries")
    with pytest.raises(InputError, match="texts"):
        refuse_single_text(Word("a"))
    refuse_single_text(["a"])
    refuse_single_text(None)


@pytest.mark.parametrize("texts", [[], ["a"], ("a",), {"a"}, iter("ab"), (text for text in "ab")])
def test_iterables_are_returned_as_they_are(texts: Any) -> None:
    assert check_iterable(texts) is texts


@pytest.mark.parametrize(
    ("texts", "kind"), [(b"a", "a bytes"), (bytearray(), "a bytearray"), ({}, "a dict"), (3, "an int")]
)
def test_no_iterable_of_texts(texts: Any, kind: str) -> None:
    with pytest.raises(InputError, match=f"^texts is {kind}, expected a str or an iterable of str$"):
        check_iterable(texts)


@pytest.mark.parametrize("texts", [[], ["a"], ("a", "b"), [Word("a"), "b"], (Word("a"), Word("b"))])
def test_texts_become_a_list(texts: Any) -> None:
    assert check_texts(texts) == list(texts)
    assert isinstance(check_texts(texts), list)
    assert check_texts(texts) is not texts


@pytest.mark.parametrize(
    ("element", "kind"), [(None, "a NoneType"), (1, "an int"), (b"a", "a bytes"), (["a"], "a list")]
)
def test_elements_that_are_no_text(element: object, kind: str) -> None:
    rule = "expected str; drop it or convert it before encoding$"
    with pytest.raises(InputError, match=rf"^texts\[0\] is {kind}, {rule}"):
        check_texts([element])
    with pytest.raises(InputError, match=rf"^texts\[2\] is {kind}, {rule}"):
        check_texts(["a", Word("b"), element, element])
    with pytest.raises(InputError, match=rf"^texts\[11\] is {kind}, {rule}"):
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
