"""Checks of what callers pass as texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Reversible, Sequence, Set
from itertools import chain
from typing import Any

import numpy as np

from portvec.errors import InputError

# Elements of a pyarrow array that become Python objects together.
_SLICE = 2048


def check_iterable(texts: Any, name: str = "texts") -> Iterable[Any]:
    """Return an iterable of what may be texts, in their order. `name` is the argument's, for errors.

    That is `texts` itself, or the values of a pyarrow array in place of its scalars.

    Raises:
        InputError: `texts` is a str, or not iterable, or it has no order, or iterating over it would give
            something else than its texts.
    """
    if isinstance(texts, (list, tuple)):
        return texts
    if isinstance(texts, str):
        raise InputError(f"{name} is a str, expected a list of str; wrap it as [text]")
    remedy = _find_remedy(texts, name)
    if remedy is not None:
        raise InputError(
            f"{name} is {_name_type(texts)}, expected a str or an iterable of str in order; {remedy}"
        )
    return _read_slices(texts) if hasattr(texts, "to_pylist") else texts


def _find_remedy(texts: Any, name: str) -> str | None:
    """Return what to pass instead of `texts`; None if they may be texts in order.

    Types of libraries are recognized by their attributes, because importing the libraries would be slow.
    """
    kind = type(texts)
    if hasattr(kind, "columns") or hasattr(kind, "column_names"):  # a table: most iterate over their columns
        return f"pass one column, such as {name}['text']"
    if isinstance(texts, Mapping):
        return f"pass list({name}.values())"
    if isinstance(texts, Set) and not isinstance(texts, Reversible):  # views of a dict have an order
        return f"a set has none, pass sorted({name})"
    if hasattr(kind, "readline"):  # the line ends would change token ids
        return f"a file gives lines with their ends, pass (line.rstrip('\\n') for line in {name})"
    if isinstance(texts, (bytes, bytearray, memoryview)):
        return "decode it to a str"
    if not isinstance(texts, Iterable):
        return "pass a list of str"
    dimensions = getattr(texts, "ndim", 1)
    if dimensions != 1:
        return f"it has {dimensions} dimensions, pass one with a single dimension, such as {name}.ravel()"
    return None


def _read_slices(texts: Any) -> Iterator[Any]:
    """Yield the values of a pyarrow array, of which few are Python objects at a time."""
    starts = range(0, len(texts), _SLICE)
    return chain.from_iterable(texts[start : start + _SLICE].to_pylist() for start in starts)


def check_texts(texts: Sequence[object], first: int = 0) -> list[str]:
    """Return `texts` as a list of str, without subclasses of it. Errors count the texts from `first`.

    Raises:
        InputError: an element is not a str; the message names its index and type.
    """
    if set(map(type, texts)) <= {str}:  # fast; the loop below also finds subclasses of str
        return list(texts)  # type: ignore[arg-type]
    for index, text in enumerate(texts, first):
        if isinstance(text, str):
            continue
        if _is_missing(text):
            raise InputError(f"texts[{index}] is {text}, a missing value; drop it, or replace it with ''")
        raise InputError(
            f"texts[{index}] is {_name_type(text)}, expected str; drop it or convert it before encoding"
        )
    return [str.__str__(text) for text in texts]


def refuse_surrogates(texts: Sequence[str], first: int = 0, *, name: str | None = None) -> None:
    """Refuse texts that no encoding of Unicode can express.

    Errors count the texts from `first`, or call each text `name`.

    Raises:
        InputError: a text has a lone surrogate; the message names its index and position.
    """
    for index, text in enumerate(texts, first):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            what = name or f"texts[{index}]"
            raise InputError(
                f"{what} holds the lone surrogate U+{ord(text[error.start]):04X} at character "
                f"{error.start}, which is not text; decode the source with errors='replace'"
            ) from error


def _is_missing(value: object) -> bool:
    """Return whether an element stands for a missing value, as None, NaN, and pandas' NA and NaT do."""
    if isinstance(value, (float, np.floating)):
        return bool(np.isnan(value))
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _name_type(value: object) -> str:
    """Return what a value is, such as "of type int"."""
    return f"of type {type(value).__name__}"
