"""What a model's own card says of it, for the card of the artifact."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from portvec._artifact import format as fmt
from portvec._artifact.manifest import Source

_KEPT = ("license", "license_name", "license_link", "language")


def inherited(folder: Path, source: Source) -> dict[str, Any]:
    """Return the front matter that holds for an artifact as well: licence, language and base model.

    The base model of an artifact is the model it was made from; of one that is not on the Hub, the model
    that one names.
    """
    card = _front_matter(folder / fmt.CARD)
    kept = {name: card[name] for name in _KEPT if card.get(name)}
    base = source.id if source.revision else card.get("base_model")
    return {**kept, **({"base_model": base} if base else {})}


def _front_matter(card: Path) -> dict[str, Any]:
    """Return it as huggingface_hub does, whose import takes longer than the rest of an export.

    Empty where there is no card, or none that can be read: the model is as good without.
    """
    try:
        text = card.read_text(encoding="utf-8")
        matter = re.match(r"\s*---\s*?\n(.*?)\n---\s*?\n", text, re.DOTALL)
        values = yaml.safe_load(matter[1]) if matter else None
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return values if isinstance(values, dict) else {}
