"""A sentence that several error messages share."""

from __future__ import annotations

from collections.abc import Iterable


def unknown(what: str, value: object, known: Iterable[str]) -> str:
    """Return that `value` is no `what`, and which values are."""
    return f"{what} {value!r} is unknown, expected one of {', '.join(known)}"
