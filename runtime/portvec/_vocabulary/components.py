"""The normalizer and the pre-tokenizer of a tokenizer.json, as lists of steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

Component: TypeAlias = Mapping[str, Any]


def list_steps(component: Component | None) -> list[Component]:
    """Return the steps of a normalizer or of a pre-tokenizer, in order; none for None."""
    if component is None:
        return []
    if component["type"] != "Sequence":
        return [component]
    children = component.get("normalizers") or component.get("pretokenizers") or ()
    return [step for child in children for step in list_steps(child)]


def depends_on_position(pre_tokenizer: Iterable[Component]) -> bool:
    """Return whether text at the start is split differently from text after an added token."""
    return any(step.get("prepend_scheme") == "first" for step in pre_tokenizer)
