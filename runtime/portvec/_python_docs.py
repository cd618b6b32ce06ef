"""English text that comes with Python: its language reference and its library's docstrings."""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Iterable
from pathlib import Path

_BLANK_LINES = re.compile(r"\n\s*\n")


def read_language_reference() -> list[str]:
    """Return the distinct paragraphs of more than 40 characters, in order; none if this Python lacks them."""
    try:
        from pydoc_data.topics import topics  # 700 KB
    except ImportError:  # a stripped Python
        return []
    return _keep_long(part.strip() for topic in topics.values() for part in _BLANK_LINES.split(topic))


def read_docstrings() -> list[str]:
    """Return the distinct paragraphs of more than 40 characters in the docstrings of the library's modules.

    They are read from the source files, because -OO leaves docstrings out of the modules.
    """
    texts = (
        docstring
        for source in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
        for docstring in re.findall(r'"""(.*?)"""', source.read_text("utf-8", "replace"), re.DOTALL)
    )
    return _keep_long(part.strip() for text in texts for part in _BLANK_LINES.split(text))


def _keep_long(paragraphs: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(part for part in paragraphs if len(part) > 40))
