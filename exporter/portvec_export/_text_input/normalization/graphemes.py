"""Where a text is cut into graphemes, as Hugging Face's normalizer Precompiled cuts it.

What each character does there is asked of that normalizer, with a charsmap that turns every character, and
every grapheme of less than 6 bytes, into one `m`: the number of `m` says which characters are one grapheme.
No other graphemes matter, so regional indicators, of 4 bytes each, are like letters here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from tokenizers import normalizers

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.code_tables import CodeTable
from portvec_export._text_input.arrays.flat import before, find_true, running_sum, take
from portvec_export._text_input.arrays.images import CODES

# Bits of the facts about a character. It is one grapheme with the next if they have a bit in common of these,
# of which a character has some for what follows it, and some, 64 times as high, for what it follows.
_L, _V, _T, _LINE_FEED, _EXTENDING, _PREPENDED = (1 << bit for bit in range(6))
_FOLLOWING: Final = 64
# What rules that look farther need. Transparent are those that may be between the consonants of a conjunct.
_EXTEND, _ZWJ, _PICTOGRAPH, _CONSONANT, _LINKER, _TRANSPARENT = (1 << bit for bit in range(12, 18))
# Set for characters that are one grapheme with what is before or after them. It is above all other bits.
JOINING: Final = 1 << 18

_OTHER: Final = _EXTENDING | _PREPENDED * _FOLLOWING


def find_joined(graph: Graph, facts: Value, texts: Value) -> Value:
    """Return which characters are in the same grapheme as the one before, bool (characters,).

    Args:
        graph: the graph to add to.
        facts: int32 (characters,), of `grapheme_table`.
        texts: int64 (characters,), the text of each.
    """
    previous = before(graph, facts, np.int32(0))
    left = graph.node("BitwiseAnd", previous, np.int32(_FOLLOWING - 1))
    right = graph.node("BitwiseAnd", graph.div(facts, np.int32(_FOLLOWING)), np.int32(_FOLLOWING - 1))
    joined = graph.cast(graph.node("BitwiseAnd", left, right), np.bool_)
    is_inside = graph.equal(texts, before(graph, texts, np.int64(-1)))

    # A pictograph, any marks, and a joiner, before a pictograph
    bases = _find_bases(graph, facts, is_inside, _EXTEND)
    bases = before(graph, before(graph, bases, np.int64(0)), np.int64(0))
    conditions = [_has(graph, facts, _PICTOGRAPH), _has(graph, previous, _ZWJ)]
    conditions += [_has(graph, take(graph, facts, bases), _PICTOGRAPH)]
    conditions += [graph.equal(take(graph, texts, bases), texts)]
    joined = graph.node("Or", joined, _all_of(graph, conditions))

    # A consonant, and marks with a linker among them, before a consonant
    bases = before(graph, _find_bases(graph, facts, is_inside, _TRANSPARENT), np.int64(0))
    linkers = running_sum(graph, graph.cast(_has(graph, facts, _LINKER), np.int32))
    linkers_before = graph.sub(before(graph, linkers, np.int32(0)), take(graph, linkers, bases))
    conditions = [_has(graph, facts, _CONSONANT), graph.node("Greater", linkers_before, np.int32(0))]
    conditions += [_has(graph, take(graph, facts, bases), _CONSONANT)]
    joined = graph.node("Or", joined, _all_of(graph, conditions))
    return graph.node("And", joined, is_inside)


def _find_bases(graph: Graph, facts: Value, is_inside: Value, passed: int) -> Value:
    """Return the place of the last character, up to each, that has not the bit `passed` or begins a text."""
    is_base = graph.node("Not", graph.node("And", _has(graph, facts, passed), is_inside))
    numbers = graph.sub(running_sum(graph, graph.cast(is_base, np.int64)), np.int64(1))
    return take(graph, find_true(graph, is_base), numbers)


def _has(graph: Graph, facts: Value, bit: int) -> Value:
    return graph.cast(graph.node("BitwiseAnd", facts, np.int32(bit)), np.bool_)


def _all_of(graph: Graph, conditions: list[Value]) -> Value:
    result = conditions[0]
    for each in conditions[1:]:
        result = graph.node("And", result, each)
    return result


@cache
def grapheme_table() -> CodeTable:
    """Return the facts about each character."""
    return CodeTable("graphemes", find_facts())


# Letters and marks that other characters are tried with
_ACUTE, _COPYRIGHT, _JOINER, _KA, _VIRAMA = "\u0301", "\u00a9", "\u200d", "\u0915", "\u094d"
_LEADING, _VOWEL, _TRAILING = "\u1100", "\u1161", "\u11a8"


@cache
def find_facts() -> npt.NDArray[np.int32]:
    """Return the facts about each code point, int32."""
    facts = np.full(CODES, _OTHER, dtype=np.int32)
    # No other planes have characters that are not like letters.
    ranges = [range(1, 0xD800), range(0xE000, 0x20000), range(0xE0000, 0xE1000)]
    codes = np.array([code for each in ranges for code in each if chr(code) not in "\r\n"])

    def ask(pattern: str, expected: int, candidates: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the candidates that, put for the question mark, make so many graphemes or characters."""
        texts = [pattern.replace("?", chr(code)) for code in candidates.tolist()]
        return np.compress(_count_units(texts) == expected, candidates)

    # A grapheme of 6 bytes or more counts as its characters. So what ends in a letter and an acute counts
    # as one more if the letter belongs to the grapheme before.
    extending = ask("a?", 1, codes)
    prepended = ask("?a", 1, codes)
    controls = ask(f"?{_ACUTE}{_ACUTE}", 2, codes)
    others = np.setdiff1d(codes, np.concatenate([extending, prepended, controls]))
    extend = ask(f"{_COPYRIGHT}?{_JOINER}{_COPYRIGHT}{_ACUTE}", 5, extending)
    linkers = ask(f"{_KA}?{_KA}{_ACUTE}", 4, extending)
    transparent = ask(f"{_KA}{_VIRAMA}?{_KA}{_ACUTE}", 5, extending)
    pictographs = ask(f"{_COPYRIGHT}{_JOINER}?{_ACUTE}", 4, others)
    consonants = ask(f"?{_VIRAMA}{_KA}{_ACUTE}", 4, others)
    short = others[others < 0x10000]
    before_vowel, before_trailing = (ask(f"?{each}{_ACUTE}", 3, short) for each in (_VOWEL, _TRAILING))
    after_leading, after_vowel, after_trailing = (
        ask(f"{each}?{_ACUTE}", 3, short) for each in (_LEADING, _VOWEL, _TRAILING)
    )

    facts[[0, ord("\r"), ord("\n"), *controls]] = 0
    facts[ord("\r")] |= _LINE_FEED | JOINING
    facts[ord("\n")] |= _LINE_FEED * _FOLLOWING
    facts[extending] |= _EXTENDING * _FOLLOWING | JOINING
    facts[prepended] |= _PREPENDED | JOINING
    facts[extend] |= _EXTEND
    facts[ord(_JOINER)] |= _ZWJ
    facts[pictographs] |= _PICTOGRAPH
    facts[consonants] |= _CONSONANT
    facts[linkers] |= _LINKER
    facts[transparent] |= _TRANSPARENT
    leading = np.setdiff1d(before_vowel, before_trailing)
    facts[leading] |= _L
    facts[np.intersect1d(before_vowel, before_trailing)] |= _V
    facts[np.setdiff1d(before_trailing, before_vowel)] |= _T
    facts[after_leading] |= _L * _FOLLOWING
    facts[after_vowel] |= _V * _FOLLOWING
    facts[after_trailing] |= _T * _FOLLOWING
    return facts


def _count_units(texts: list[str]) -> npt.NDArray[np.int64]:
    """Return the number of graphemes of each text; characters count where a grapheme has 6 bytes or more."""
    units = _unit_normalizer()("\n".join(texts)).split("\n")
    return np.fromiter(map(len, units), np.int64, len(units))


@cache
def _unit_normalizer() -> Callable[[str], str]:
    """Return the normalizer that turns each into `m`, but a line feed into itself.

    Its charsmap is a trie of all bytes as darts-clone writes one: a unit has the byte that leads to it in its
    lowest 8 bits, 256 if it has a value, and from bit 10 on the number that, xor its place, is the base of
    those that follow it.
    """
    root, marks, line_feeds = 256, 512, 513
    units = np.zeros(1024, dtype="<u4")
    units[0] = root << 10
    for byte in range(1, 256):
        place = root ^ byte
        units[place] = byte | 256 | (place ^ (line_feeds if byte == ord("\n") else marks)) << 10
    texts = b"m\0\n\0"
    units[marks], units[line_feeds] = 1 << 31, 1 << 31 | texts.index(b"\n")
    size = np.array([units.nbytes], dtype="<u4")
    normalizer = normalizers.Precompiled(size.tobytes() + units.tobytes() + texts)
    normalize: Callable[[str], str] = normalizer.normalize_str
    return normalize
