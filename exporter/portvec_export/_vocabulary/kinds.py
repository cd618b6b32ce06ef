"""Which kind each character is of for a pre-tokenizer, found by asking it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer

from portvec._vocabulary.characters import PAGE, PAGES
from portvec._vocabulary.components import Component, list_steps
from portvec._vocabulary.pre_tokens import (
    KIND_BITS,
    LETTER,
    NUMBER,
    OTHER,
    SPACE,
    can_split,
    needs_kinds,
)
from portvec_export._vocabulary.normalizer_steps import list_assigned
from portvec_export._vocabulary.tables import Arrays, pack_table

if TYPE_CHECKING:
    import numpy.typing as npt

# Characters are asked about this many at a time.
_BATCH = 4096


def probe_kinds(tokenizer: Mapping[str, Any]) -> Arrays:
    """Return the arrays "kind_pages" and "kinds", or none if the pre-tokenizer needs none.

    `tokenizer` has the entry "pre_tokenizer" of tokenizer.json.
    """
    steps = list_steps(tokenizer["pre_tokenizer"])
    asked = [step for step in steps if needs_kinds(step)]
    if not can_split(steps) or not asked:
        return {}
    characters = list(list_assigned())
    numbers = np.zeros(len(characters), dtype=np.uint8)
    for place, step in enumerate(asked):
        numbers |= _find_kinds(step, characters) << np.uint8(KIND_BITS * place)
    table = np.zeros(PAGES * PAGE, dtype=np.uint8)
    table[list(map(ord, characters))] = numbers
    return pack_table("kind_pages", "kinds", table)


def _find_kinds(step: Component, characters: list[str]) -> npt.NDArray[np.uint8]:
    """Return the kind of each character for one step.

    A character is of the kind of the neighbours that it is not split from. One that the step drops is a space.
    """
    kinds = np.full(len(characters), OTHER, dtype=np.uint8)
    split, is_dropped = _split_from(step, "a", characters)
    kinds[~split] = LETTER
    kinds[is_dropped] = SPACE
    if step["type"] == "ByteLevel":
        kinds[:] = SPACE
        for neighbour, kind in (("a", LETTER), ("1", NUMBER), ("!", OTHER)):
            kinds[~_split_from(step, neighbour, characters)[0]] = kind
    return kinds


def _split_from(
    step: Component, neighbour: str, characters: list[str]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which characters a step splits from a neighbour on either side, and which it drops."""
    model = {"type": "WordLevel", "vocab": {"": 0}, "unk_token": ""}
    tokenizer = Tokenizer.from_str(json.dumps({"pre_tokenizer": step, "model": model, "added_tokens": []}))
    pre_tokenizer: Any = tokenizer.pre_tokenizer
    is_split, is_dropped = [], []
    for start in range(0, len(characters), _BATCH):
        batch = characters[start : start + _BATCH]
        text = neighbour.join(["", *batch, ""])
        covered = np.zeros(len(text) + 1, dtype=np.bool_)
        begins = np.zeros(len(text) + 1, dtype=np.bool_)
        for _, (first, last) in pre_tokenizer.pre_tokenize_str(text):
            covered[first:last] = True
            begins[first] = begins[last] = True
        places = np.arange(len(batch)) * 2 + 1
        is_split.append(begins[places] | begins[places + 1])
        is_dropped.append(~covered[places])
    return np.concatenate(is_split), np.concatenate(is_dropped)
