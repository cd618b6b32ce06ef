"""Real English text that every Python brings."""

from __future__ import annotations

import re


def english_paragraphs(count: int) -> list[str]:
    """Return the first `count` distinct paragraphs of Python's language reference, as pydoc shows it."""
    from pydoc_data.topics import topics  # 700 KB, needed for tables that are not exact

    parts = (part.strip() for topic in topics.values() for part in re.split(r"\n\s*\n", topic))
    return list(dict.fromkeys(part for part in parts if len(part) > 40))[:count]
