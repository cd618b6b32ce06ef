"""The prompts of a manifest: texts that a model wants before others, by the names they have in the model."""

from __future__ import annotations

from collections.abc import Mapping

from portvec._artifact import format as fmt
from portvec._artifact.manifest import Manifest


def all_prompts(stored: Mapping[str, str]) -> dict[str, str]:
    """Return the prompts of a model by name, with those that every model has, empty if none is stored."""
    return {fmt.QUERY: "", fmt.DOCUMENT: "", **stored}


def has_surrogate(text: str) -> bool:
    """Return whether `text` has a lone surrogate, which is not text, and cannot be written in UTF-8."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def describe_prompts(manifest: Manifest) -> str:
    """Return prompts in words, such as "query 'search_query: '", or "" if there are none."""
    default = manifest.default_prompt_name
    return ", ".join(
        f"{name} {prompt!r}" + (" (default)" if name == default else "")
        for name, prompt in manifest.prompts.items()
    )
