"""Texts to measure with: those of a file, or English that comes with Python."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import click

from portvec._bulk.sources import open_source, read_texts
from portvec._python_docs import read_docstrings, read_language_reference
from portvec.errors import FileError

# Words in a text, and texts in a set. A long text has fewer than 512 tokens, the limit of most models.
_SHORT, _MEDIUM, _LONG = 10, 30, 300
_MOST_TEXTS = 10_000
# Characters read of a file: enough for a steady figure, few enough for a slow board.
_MOST_CHARACTERS = 4_000_000

TextSets = dict[str, list[str]]


def make_text_sets(path: Path | None = None, field: str | None = None, format: str | None = None) -> TextSets:
    """Return the texts of a file as the set "texts", or the sets "short", "medium" and "long".

    Raises:
        FileError: the file cannot be read or has no text.
        click.ClickException: this Python lacks the texts.
    """
    if path is not None:
        return {"texts": _read_file(path, field, format)}
    words = _read_words()
    # The sets overlap, but the texts of a set are distinct.
    sets = {
        "short": _cut_words(words, _SHORT),
        "medium": _cut_words(words, _MEDIUM),
        "long": _cut_words(words, _LONG),
    }
    if not sets["long"]:
        raise click.ClickException(
            "this Python comes without its documentation, so there is no text to measure with; "
            "give a file of texts with -i"
        )
    return sets


def _read_file(path: Path, field: str | None, format: str | None) -> list[str]:
    texts: list[str] = []
    characters = 0
    for text in islice(read_texts(open_source(path, format=format, field=field)), _MOST_TEXTS):
        texts.append(text)
        characters += len(text)
        if characters > _MOST_CHARACTERS:
            break
    if not texts:
        raise FileError(f"{path}: has no text to measure with; choose another file")
    return texts


def _read_words() -> list[str]:
    """Return the words of Python's language reference and of its library's docstrings."""
    paragraphs = (" ".join(part.split()) for part in [*read_language_reference(), *read_docstrings()])
    return [word for paragraph in dict.fromkeys(paragraphs) for word in paragraph.split()]


def _cut_words(words: list[str], length: int) -> list[str]:
    starts = range(0, len(words) - length, length)
    texts = dict.fromkeys(" ".join(words[start : start + length]) for start in starts)
    return list(texts)[:_MOST_TEXTS]
