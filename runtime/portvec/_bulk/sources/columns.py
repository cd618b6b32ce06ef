"""What the columns of a file must be."""

from __future__ import annotations

from collections.abc import Sequence

from portvec.errors import FileError


def check_names(file: str, names: Sequence[str], text: str) -> None:
    """Check that the names of columns differ, and that one of them is `text`.

    Raises:
        FileError: they do not, or it is not.
    """
    if text not in names:
        raise FileError(
            f"{file}: no column {text!r}, has {', '.join(names) or 'none'}; give another field=..."
        )
    if len(set(names)) < len(names):
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise FileError(f"{file}: has two columns {twice!r}; rename one of them")


def describe_difference(file: str, first: str, columns: Sequence[str], expected: Sequence[str]) -> str:
    """Return that the columns of a file are not those of the first file. A column is described by a str."""
    here = [each for each in columns if each not in expected]
    there = [each for each in expected if each not in columns]
    if here or there:
        details = f"has {', '.join(here) or 'none'} where that has {', '.join(there) or 'none'}"
    else:
        details = "they are in another order"
    return f"{file}: its columns are not those of {first} ({details}); give the files one by one"
