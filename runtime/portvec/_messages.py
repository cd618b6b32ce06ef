"""Sentences that several error messages share."""

from __future__ import annotations

from collections.abc import Iterable


def describe_unknown(what: str, value: object, known: Iterable[str]) -> str:
    """Return that `value` is no `what`, and which values are."""
    return f"{what} {value!r} is unknown, expected one of {', '.join(known)}"


def no_such_folder(path: object, expected: str) -> str:
    """Return that no folder is there, and what was expected."""
    return f"{path}: no such folder; expected an existing {expected}"


def not_converted(source: object, subfolder: str | None) -> str:
    """Return what to do with a Model2Vec model where an artifact belongs."""
    option = f" --subfolder {subfolder}" if subfolder else ""
    return (
        f"{source}: a Model2Vec model that is not converted yet; run "
        f"'portvec export {source}{option} -o DIR', and give DIR instead"
    )


def install(extra: str) -> str:
    """Return what to do if an extra is missing."""
    return f"run pip install 'portvec[{extra}]'"


def fold_lines(error: BaseException) -> str:
    """Return an error's message with its line breaks folded into spaces."""
    return " ".join(str(error).split())
