"""Texts to measure with, where no file is given: English that every Python brings."""

from __future__ import annotations

import re
import sysconfig
from contextlib import suppress
from itertools import islice
from pathlib import Path

from portvec._bulk.files import read_texts
from portvec.errors import InputError, PortvecError

# Words in a text, and texts in a set. A long text stays below 512 tokens, where most models cut.
_SHORT, _MEDIUM, _LONG = 10, 30, 300
_MOST_TEXTS = 10_000
# Of a file: enough for a steady figure, little enough for a slow board.
_MOST_CHARACTERS = 4_000_000

TextSets = dict[str, list[str]]


def text_sets(path: Path | None = None, field: str | None = None) -> TextSets:
    """Return the texts of a file as the set "texts", or the sets "short", "medium" and "long".

    Raises:
        InputError: the file cannot be read or holds no text.
        PortvecError: this Python lacks the texts.
    """
    if path is not None:
        return {"texts": _of_file(path, field)}
    words = _words()
    # The sets overlap, but no two texts of a set are the same.
    sets = {"short": _cut(words, _SHORT), "medium": _cut(words, _MEDIUM), "long": _cut(words, _LONG)}
    if not sets["long"]:
        raise PortvecError(
            "this Python comes without its documentation, so there is no text to measure with; "
            "give a file of texts with -i"
        )
    return sets


def _of_file(path: Path, field: str | None) -> list[str]:
    texts: list[str] = []
    characters = 0
    for text in islice(read_texts(path, field), _MOST_TEXTS):
        texts.append(text)
        characters += len(text)
        if characters > _MOST_CHARACTERS:
            break
    if not texts:
        raise InputError(f"{path}: holds no text to measure with")
    return texts


def _words() -> list[str]:
    """Return the words of Python's language reference and of its library's docstrings.

    The docstrings are read from the source files, since -OO leaves them out of the modules.
    """
    paragraphs: list[str] = []
    with suppress(ImportError):  # a stripped Python
        from pydoc_data.topics import topics

        paragraphs += [part for topic in topics.values() for part in re.split(r"\n\s*\n", topic)]
    for source in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        for docstring in re.findall(r'"""(.*?)"""', source.read_text("utf-8", "replace"), re.DOTALL):
            paragraphs += re.split(r"\n\s*\n", docstring)
    distinct = dict.fromkeys(" ".join(part.split()) for part in paragraphs)
    return [word for paragraph in distinct if len(paragraph) > 40 for word in paragraph.split()]


def _cut(words: list[str], length: int) -> list[str]:
    starts = range(0, len(words) - length, length)
    texts = dict.fromkeys(" ".join(words[start : start + length]) for start in starts)
    return list(texts)[:_MOST_TEXTS]
