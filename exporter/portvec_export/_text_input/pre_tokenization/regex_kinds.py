"""Which kind each character is of for patterns, found by asking the engine of `tokenizers`."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, pre_tokenizers

from portvec._vocabulary.kinds import LETTER, NUMBER, OTHER, SPACE
from portvec_export._text_input.arrays.images import CODES, scalar_values

# tokenizers is slow on long texts.
_BATCH = 1024


@cache
def find_regex_kinds(letters: str) -> npt.NDArray[np.uint8]:
    """Return the kind of each code point, found by splitting at the class of each kind."""
    kinds = np.full(CODES, OTHER, np.uint8)
    for kind, pattern in ((LETTER, letters), (NUMBER, r"\p{N}"), (SPACE, r"\s")):
        kinds[_list_matches(pattern)] = kind
    return kinds


def _list_matches(pattern: str) -> list[int]:
    splitter = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    codes = list(scalar_values())
    found: list[int] = []
    for start in range(0, len(codes), _BATCH):
        text = "".join(map(chr, codes[start : start + _BATCH]))
        for piece, _ in splitter.pre_tokenize_str(text):
            found += map(ord, piece)
    return found
