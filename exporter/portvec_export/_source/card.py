"""The front matter of a model's own card, for the card of the artifact."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from portvec._artifact import format as fmt
from portvec._artifact.files import read_file
from portvec._artifact.manifest import Source

# The longest cards on the Hub have a few MiB.
_LIMIT = 1 << 24
_KEPT = ("license", "license_name", "license_link", "language")


def read_front_matter(folder: Path, source: Source) -> dict[str, Any]:
    """Return the front matter that holds for an artifact as well: licence, language and base model.

    The base model of an artifact is the model that it was made from. If that is not on the Hub, it is the
    base model that its own card names.
    """
    card = _parse(folder / fmt.CARD)
    kept = {name: card[name] for name in _KEPT if card.get(name)}
    base = source.id if source.revision else card.get("base_model")
    return {**kept, **({"base_model": base} if base else {})}


def _parse(card: Path) -> dict[str, Any]:
    """Return a card's front matter, read as huggingface_hub does; importing that takes longer than an export.

    A card is optional, so one that is missing or cannot be read counts as empty.
    """
    try:
        text = read_file(card, _LIMIT).decode()
        matter = re.match(r"\s*---\s*?\n(.*?)\n---\s*?\n", text, re.DOTALL)
        values = yaml.safe_load(matter[1]) if matter else None
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
