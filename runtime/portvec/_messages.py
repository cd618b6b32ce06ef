"""Sentences that several error messages share."""

from __future__ import annotations

from collections.abc import Iterable


def unknown(what: str, value: object, known: Iterable[str]) -> str:
    """Return that `value` is no `what`, and which values are."""
    return f"{what} {value!r} is unknown, expected one of {', '.join(known)}"


def single_text(name: str) -> str:
    """Return that the argument `name` must be a list of texts, not one text."""
    return f"{name} is a str, expected a list of str; wrap it as [text]"


def a_type(value: object) -> str:
    """Return the name of a value's type with its article, such as "an int"."""
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def one_line(error: BaseException) -> str:
    """Return an error's message with its line breaks folded into spaces."""
    return " ".join(str(error).split())
