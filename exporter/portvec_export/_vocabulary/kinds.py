"""Which kind each character is of for a pre-tokenizer, found by asking it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer

from portvec._vocabulary.characters import PAGE, PAGES
from portvec._vocabulary.components import Component, list_steps
from portvec._vocabulary.kinds import KIND_BITS, LETTER, NUMBER, OTHER, SPACE
from portvec._vocabulary.pre_tokens import can_split, needs_kinds
from portvec_export._vocabulary.normalizer_steps import list_assigned
from portvec_export._vocabulary.tables import Arrays, pack_table

if TYPE_CHECKING:
    import numpy.typing as npt

# Characters are asked about this many at a time.
_BATCH = 1024


def probe_kinds(tokenizer: Mapping[str, Any], characters: Collection[str] | None = None) -> Arrays:
    """Return the arrays "kind_pages" and "kinds", or none if the pre-tokenizer needs none.

    `tokenizer` has the entry "pre_tokenizer" of tokenizer.json. `characters` are those to ask about, if not
    all are.
    """
    steps = list_steps(tokenizer["pre_tokenizer"])
    asked = [step for step in steps if needs_kinds(step)]
    if not can_split(steps) or not asked:
        return {}
    codes = np.fromiter(map(ord, list_assigned() if characters is None else characters), np.int64)
    table = np.zeros(PAGES * PAGE, dtype=np.uint8)
    for place, step in enumerate(asked):
        table[codes] |= find_kinds(step, codes) << np.uint8(KIND_BITS * place)
    return pack_table("kind_pages", "kinds", table)


def find_kinds(step: Component, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Return the kind of each character for one step.

    A character is of the kind of a neighbour that it is not split from. One that is dropped is a space.
    """
    pre_tokenizer = _load_pre_tokenizer(step)
    has_numbers = step["type"] == "ByteLevel"
    kinds = np.full(len(codes), SPACE if has_numbers else OTHER, dtype=np.uint8)
    is_open = np.ones(len(codes), dtype=np.bool_)
    for neighbour, kind in [("a", LETTER), ("!", OTHER), ("1", NUMBER)][: 3 if has_numbers else 1]:
        rows = np.flatnonzero(is_open)
        is_split, is_dropped = _split_from(pre_tokenizer, neighbour, codes[rows].tolist())
        kinds[rows[~is_split]] = kind
        kinds[rows[is_dropped]] = SPACE
        is_open[rows] = is_split & ~is_dropped
    return kinds


def _load_pre_tokenizer(step: Component) -> Any:
    model = {"type": "WordLevel", "vocab": {"": 0}, "unk_token": ""}
    tokenizer = Tokenizer.from_str(json.dumps({"pre_tokenizer": step, "model": model, "added_tokens": []}))
    return tokenizer.pre_tokenizer


def _split_from(
    pre_tokenizer: Any, neighbour: str, codes: list[int]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which characters are split from a neighbour on either side, and which are dropped."""
    is_split, is_dropped = np.zeros((2, len(codes)), dtype=np.bool_)
    for start in range(0, len(codes), _BATCH):
        batch = [chr(code) for code in codes[start : start + _BATCH]]
        text = neighbour.join(["", *batch, ""])
        is_bound, is_covered = np.zeros((2, len(text) + 1), dtype=np.bool_)
        for _, (first, last) in pre_tokenizer.pre_tokenize_str(text):
            is_covered[first:last] = True
            is_bound[[first, last]] = True
        places = np.arange(len(batch)) * 2 + 1
        is_split[start : start + _BATCH] = is_bound[places] | is_bound[places + 1]
        is_dropped[start : start + _BATCH] = ~is_covered[places]
    return is_split, is_dropped
