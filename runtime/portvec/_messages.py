"""Sentences that several error messages share."""

from __future__ import annotations

from collections.abc import Iterable


def describe_unknown(what: str, value: object, known: Iterable[str]) -> str:
    """Return that `value` is no `what`, and which values are."""
    return f"{what} {value!r} is unknown, expected one of {', '.join(known)}"


def install(extra: str) -> str:
    """Return what to do if an extra is missing."""
    return f"run pip install 'portvec[{extra}]'"


def fold_lines(error: BaseException) -> str:
    """Return an error's message with its line breaks folded into spaces."""
    return " ".join(str(error).split())
