"""What a model's own card says of it, for the card of the artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import metadata_load

from portvec import _format as fmt
from portvec._manifest import Source

_KEPT = ("license", "license_name", "license_link", "language")


def inherited(folder: Path, source: Source) -> dict[str, Any]:
    """Return the front matter that holds for an artifact as well: licence, language and base model.

    The base model of an artifact is the model it was made from; of one that is not on the Hub, the model
    that one names.
    """
    try:
        card = metadata_load(folder / fmt.CARD) or {}
    except Exception:  # no card, or whatever its YAML raises: the model is as good without
        card = {}
    kept = {name: card[name] for name in _KEPT if card.get(name)}
    base = source.id if source.revision else card.get("base_model")
    return {**kept, **({"base_model": base} if base else {})}
