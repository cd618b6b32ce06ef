"""Checks of what callers pass as texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from portvec.errors import InputError

_T = TypeVar("_T")


def refuse_single_text(texts: object, name: str = "texts") -> None:
    """Refuse a str where a list of texts belongs: it would be taken for a list of characters.

    Raises:
        InputError: `texts` is a str.
    """
    if isinstance(texts, str):
        raise InputError(f"{name} is a str, expected a list of str; wrap it as [text]")


def check_iterable(texts: Iterable[_T]) -> Iterable[_T]:
    """Return `texts` if it is an iterable that can hold texts.

    Raises:
        InputError: it is bytes, a dict, or not iterable.
    """
    if isinstance(texts, (bytes, bytearray, dict)) or not isinstance(texts, Iterable):
        raise InputError(f"texts is {_name_type(texts)}, expected a str or an iterable of str")
    return texts


def check_texts(texts: Sequence[object], first: int = 0) -> list[str]:
    """Return `texts` as a list of str. Errors count the texts from `first`.

    Raises:
        InputError: an element is not a str; the message names its index and type.
    """
    if set(map(type, texts)) <= {str}:  # fast; the loop below also finds subclasses of str
        return list(texts)  # type: ignore[arg-type]
    for index, text in enumerate(texts, first):
        if not isinstance(text, str):
            raise InputError(
                f"texts[{index}] is {_name_type(text)}, expected str; drop it or convert it before encoding"
            )
    return list(texts)  # type: ignore[arg-type]


def refuse_surrogates(texts: Sequence[str], first: int = 0) -> None:
    """Refuse texts that no encoding of Unicode can express. Errors count the texts from `first`.

    Raises:
        InputError: a text has a lone surrogate; the message names its index and position.
    """
    for index, text in enumerate(texts, first):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(
                f"texts[{index}] holds the lone surrogate U+{ord(text[error.start]):04X} at character "
                f"{error.start}, which is not text; decode the source with errors='replace'"
            ) from error


def _name_type(value: object) -> str:
    """Return the name of a value's type with its article, such as "an int"."""
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
