"""The steps of a normalizer: in which of them a unit becomes the same whatever stands beside it.

A unit is what one character of a text has become so far. What is said of a unit holds if the units beside it
are stable too.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from tokenizers import Tokenizer

from portvec._vocabulary.components import Component

Normalize = Callable[[str], str]

# Precompiled maps grapheme clusters as a whole. These join what stands beside them into one, apart from marks
# and format characters. Most of them do as Unicode's property Grapheme_Cluster_Break says.
_GRAPHEME_RANGES = [
    (0x0D, 0x0D),  # before a line feed
    (0x0E33, 0x0E33),
    (0x0EB3, 0x0EB3),
    (0x1100, 0x11FF),  # Jamo, also the next two
    (0xA960, 0xA97F),
    (0xD7B0, 0xD7FF),
    (0xFF9E, 0xFF9F),
    (0x1F1E6, 0x1F1FF),  # regional indicators
    (0x1F3FB, 0x1F3FF),  # emoji modifiers
    # Letters with the value Prepend
    *((code, code) for code in (0x0D4E, 0x113D1, 0x1193F, 0x11941, 0x11A3A, 0x11D46, 0x11F02)),
    (0x111C2, 0x111C3),
    (0x11A84, 0x11A89),
]
_GRAPHEME_CATEGORIES = ("Mn", "Mc", "Me", "Cf")


@dataclass(frozen=True)
class Step:
    """A step of a normalizer.

    Attributes:
        normalize: what the step does to a unit.
        is_stable: whether it does the same to a unit beside any other stable one, and nothing to that.
        looks_at: what the step does to spaces that are beside each other, or at an end of the text, by the
            names of the facts about the map. `normalize` does not do it.
    """

    normalize: Normalize
    is_stable: Callable[[str], bool]
    looks_at: tuple[str, ...] = ()


def read_step(state: Component) -> Step | None:
    """Return a step of a tokenizer.json, or None if nothing is known of its kind."""
    read = _KINDS.get(state["type"])
    return None if read is None else read(state)


def load_normalizer(state: Component) -> Normalize:
    """Return the normalizer with this state in tokenizer.json, as a function."""
    model = {"type": "WordLevel", "vocab": {"": 0}, "unk_token": ""}
    tokenizer = Tokenizer.from_str(json.dumps({"normalizer": state, "model": model, "added_tokens": []}))
    normalize: Normalize = tokenizer.normalizer.normalize_str
    return normalize


def _map_characters(state: Component) -> Step:
    """Read a step that maps each character by itself."""
    return Step(load_normalizer(state), lambda unit: True)


def _normal_form(state: Component) -> Step:
    """Read NFC, NFD, NFKC or NFKD.

    Marks are put in order up to the next character of combining class 0, and only a character that can be the
    second of a composition goes into the one before it. So a unit that starts with no such character, once it
    is decomposed, starts anew.
    """
    decomposition: Literal["NFD", "NFKD"] = "NFKD" if "K" in state["type"] else "NFD"
    unstable = _normalizes_into_previous(decomposition)
    return Step(load_normalizer(state), lambda unit: unit[:1] not in unstable)


def _bert(state: Component) -> Step:
    """Read BertNormalizer, which maps each character by itself unless it reorders marks that it keeps."""
    normalize = load_normalizer(state)
    strips_accents = state["strip_accents"]
    if strips_accents is None:
        strips_accents = state["lowercase"]
    if not strips_accents:
        return Step(normalize, lambda unit: True)
    kept = {mark for mark in _characters_with_class() if normalize(mark)}
    return Step(normalize, lambda unit: kept.isdisjoint(unicodedata.normalize("NFD", unit)))


def _precompiled(state: Component) -> Step:
    return Step(load_normalizer(state), _joining_graphemes().isdisjoint)


def _replace(state: Component) -> Step | None:
    if state["pattern"] == {"Regex": " {2,}"}:
        return Step(str, lambda unit: True, looks_at=("collapses",))
    pattern = state["pattern"].get("String", "")
    if not pattern:
        return None
    if len(pattern) == 1:
        return _map_characters(state)
    # The pattern can be found only where all its characters are.
    return Step(str, frozenset(pattern).isdisjoint)


def _strip(state: Component) -> Step:
    """Read Strip. The runtime looks for spaces at the ends of a word; other white space is not stable."""
    sides = {"strips_left": state["strip_left"], "strips_right": state["strip_right"]}
    return Step(str, _white_space().isdisjoint, looks_at=tuple(name for name in sides if sides[name]))


_KINDS: dict[str, Callable[[Component], Step | None]] = {
    **dict.fromkeys(("Lowercase", "StripAccents", "Nmt", "ByteLevel"), _map_characters),
    **dict.fromkeys(("NFC", "NFD", "NFKC", "NFKD"), _normal_form),
    "BertNormalizer": _bert,
    "Precompiled": _precompiled,
    "Replace": _replace,
    "Strip": _strip,
}


@cache
def list_assigned() -> Mapping[str, None]:
    """Return the characters that Unicode defines, in order: their normal forms never change.

    Those for private use, of which there are as many as others, are left out.
    """
    characters = map(chr, range(0x110000))
    return dict.fromkeys(c for c in characters if unicodedata.category(c) not in ("Cn", "Co", "Cs"))


@cache
def _normalizes_into_previous(decomposition: Literal["NFD", "NFKD"]) -> frozenset[str]:
    seconds = {chr(code) for code in range(0x1161, 0x1176)} | {chr(code) for code in range(0x11A8, 0x11C3)}
    for character in list_assigned():
        parts = unicodedata.decomposition(character).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            seconds.add(chr(int(parts[1], 16)))
    firsts = {character: unicodedata.normalize(decomposition, character)[0] for character in list_assigned()}
    return frozenset(
        character for character, first in firsts.items() if first in seconds or unicodedata.combining(first)
    )


@cache
def _characters_with_class() -> Collection[str]:
    return [character for character in list_assigned() if unicodedata.combining(character)]


@cache
def _joining_graphemes() -> frozenset[str]:
    joining = {chr(code) for first, last in _GRAPHEME_RANGES for code in range(first, last + 1)}
    return frozenset(
        joining.union(c for c in list_assigned() if unicodedata.category(c) in _GRAPHEME_CATEGORIES)
    )


@cache
def _white_space() -> frozenset[str]:
    """Return the white space that Strip takes away, apart from the space."""
    strip = load_normalizer({"type": "Strip", "strip_left": True, "strip_right": True})
    return frozenset(character for character in list_assigned() if not strip(character)) - {" "}
