"""What each character becomes under a tokenizer's normalizer, where nothing beside it has a say.

A character is mapped by itself if every step of the normalizer is proven to give the same for it whatever
stands beside it. What it becomes in one step is a unit for the next. All other characters, and all that the
Unicode of this Python does not know, are left to the normalizer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from typing import Any

import numpy as np

from portvec._vocabulary.characters import ASK, ITSELF, LONGEST_IMAGE, PAGE, PAGES, SPACED
from portvec._vocabulary.components import depends_on_position, list_steps
from portvec_export._vocabulary.normalizer_steps import Step, list_assigned, read_step
from portvec_export._vocabulary.tables import Arrays, pack_table


def probe_characters(
    tokenizer: Mapping[str, Any], characters: Collection[str] | None = None
) -> tuple[dict[str, Any], Arrays]:
    """Return the facts "characters" of a tokenizer and the arrays of its map.

    `tokenizer` has the entries "normalizer" and "pre_tokenizer" of tokenizer.json. `characters` are those to
    map, if not all are.
    """
    known = list_assigned().keys()
    characters = known if characters is None else known & characters
    images: list[str | None] = list(characters)
    facts = {"collapses": False, "strips_left": False, "strips_right": False}
    for state in list_steps(tokenizer["normalizer"]):
        step = read_step(state)
        if step is None:
            images = [None] * len(characters)
            break
        # An earlier step looked at spaces. The runtime sees them only if they are still there.
        keep_spaces = any(facts.values())
        images = [_apply(step, image, known, keep_spaces=keep_spaces) for image in images]
        for name in step.looks_at:
            facts[name] = True
    if depends_on_position(list_steps(tokenizer["pre_tokenizer"])):
        # A mark is put before the first character of a text only if that is still there.
        images = [image or None for image in images]
    return {"characters": facts}, _pack(dict(zip(characters, images, strict=True)))


def _apply(step: Step, image: str | None, known: Set[str], *, keep_spaces: bool) -> str | None:
    """Return what a unit becomes in one step; None if that may depend on what stands beside it."""
    if image is None or not step.is_stable(image):
        return None
    following = step.normalize(image)
    if following == image:
        return image
    if keep_spaces and " " in image:
        return None
    return following if known >= set(following) else None


def _pack(images: Mapping[str, str | None]) -> Arrays:
    entries = np.full(PAGES * PAGE, ASK, dtype=np.int32)
    codes = np.fromiter(map(ord, images), np.int64, len(images))
    text = "\0"  # place 0 with no character would be the entry of one that stays itself
    places: dict[str, int] = {}
    found = []
    for character, image in images.items():
        if image is None or len(image) > LONGEST_IMAGE:
            found.append(ASK)
        elif image == character:
            found.append(ITSELF)
        elif image == f" {character} ":
            found.append(SPACED)
        else:
            if image not in places:
                places[image] = len(text) * (LONGEST_IMAGE + 1) + len(image)
                text += image
            found.append(places[image])
    entries[codes] = found
    return {
        **pack_table("map_pages", "map_entries", entries),
        "map_text": np.frombuffer(text.encode("utf-32-le"), dtype="<u4"),
    }
