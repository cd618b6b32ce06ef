"""The patterns by which Split cuts text for byte-level models: GPT-2's, and those of models from GPT-4 on.

The latter take, at each place, the first of these that they find: a contraction in any case; letters, with
one other character before them that ends no line; some numbers; others, with a space before them and line
ends behind; white space up to the last line end in it; white space up to the last character of it, or all
that ends the piece. The cuts follow from the characters around each place, apart from those at line ends.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from portvec._vocabulary.components import Component
from portvec._vocabulary.kinds import LETTER, NUMBER, OTHER, SPACE
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.flat import (
    after,
    before,
    count,
    find_true,
    keep,
    mark,
    running_sum,
    take,
)
from portvec_export._text_input.arrays.segments import Pieces, differs
from portvec_export._text_input.pre_tokenization.byte_level import cut_gpt2
from portvec_export._text_input.pre_tokenization.contractions import cut_contractions
from portvec_export._text_input.pre_tokenization.kinds import add_kinds, add_split
from portvec_export._text_input.pre_tokenization.regex_kinds import find_regex_kinds


class _Pattern(NamedTuple):
    """A pattern of a model from GPT-4 on.

    Attributes:
        letters: the class of what counts as letters.
        numbers: how many numbers are a piece.
    """

    letters: str
    numbers: int


def _write(letters: str, numbers: str) -> str:
    """Return the pattern as models after GPT-4 have it."""
    contractions = "|".join(["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"])
    word = rf"[^\r\n\p{{L}}\p{{N}}]?{letters}+"
    others = rf" ?[^\s{letters.strip('[]')}\p{{N}}]+[\r\n]*"
    return rf"(?i:{contractions})|{word}|{numbers}|{others}|\s*[\r\n]+|\s+(?!\S)|\s+"


GPT2: Final = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_GPT4 = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)
_LETTERS, _WITH_MARKS = r"\p{L}", r"[\p{L}\p{M}]"
PATTERNS: Final = {
    _GPT4: _Pattern(_LETTERS, 3),
    _write(_LETTERS, r"\p{N}{1,3}"): _Pattern(_LETTERS, 3),
    _write(_LETTERS, r"\p{N}"): _Pattern(_LETTERS, 1),
    _write(_WITH_MARKS, r"\p{N}"): _Pattern(_WITH_MARKS, 1),
}


def add_split_by_pattern(graph: Graph, pieces: Pieces, state: Component, name: str) -> Pieces:
    """Cut by one of the patterns, or at one character.

    Raises:
        NotExpressible: it cuts by something else.
    """
    # The patterns match all that there is, so it does not matter what happens to the rest.
    takes_all = (state["behavior"], state["invert"]) in (
        ("Isolated", False),
        ("Isolated", True),
        ("Removed", True),
    )
    pattern = state["pattern"].get("Regex") if takes_all else None
    if pattern == GPT2:
        return cut_gpt2(graph, pieces, name)
    if pattern in PATTERNS:
        return _cut(graph, pieces, PATTERNS[pattern], name)
    return add_split(graph, pieces, state, name)


def _cut(graph: Graph, pieces: Pieces, pattern: _Pattern, name: str) -> Pieces:
    kinds = add_kinds(graph, pieces.codes, find_regex_kinds(pattern.letters), name)
    previous = before(graph, kinds, np.int32(SPACE))
    codes, bounds = pieces.codes, pieces.starts
    changes = differs(graph, kinds, previous)
    is_other, is_letter, is_number, is_white = (
        graph.equal(kinds, np.int32(kind)) for kind in (OTHER, LETTER, NUMBER, SPACE)
    )
    is_line_end = graph.node("Or", *(graph.equal(codes, np.int32(code)) for code in _LINE_ENDS))
    follows_line_end = before(graph, is_line_end, np.bool_(False))
    follows_other = graph.equal(previous, np.int32(OTHER))

    def both(*conditions: Value) -> Value:
        found = conditions[0]
        for condition in conditions[1:]:
            found = graph.node("And", found, condition)
        return found

    def either(a: Value, b: Value) -> Value:
        return graph.node("Or", a, b)

    def inverse(condition: Value) -> Value:
        return graph.node("Not", condition)

    # Others start where they follow no space.
    follows_space = graph.equal(before(graph, codes, np.int32(0)), np.int32(ord(" ")))
    starts_other = both(is_other, either(bounds, both(changes, inverse(follows_space))))
    # Letters do not start where another character starts before them, or white space that is no line end.
    joins_other = both(follows_other, before(graph, starts_other, np.bool_(False)))
    joins_white = both(graph.equal(previous, np.int32(SPACE)), inverse(follows_line_end))
    starts_letter = both(is_letter, changes, inverse(either(joins_other, joins_white)))
    # White space starts where it begins and at its last character. Line ends may belong to what is before.
    begins = both(changes, inverse(both(is_line_end, follows_other)))
    is_inner = either(after(graph, is_white, np.bool_(False)), after(graph, bounds, np.bool_(True)))
    is_last = inverse(either(is_line_end, is_inner))
    starts_white = both(is_white, either(begins, is_last))

    starts = either(either(bounds, starts_other), either(starts_letter, starts_white))
    starts = either(starts, _cut_numbers(graph, pieces, is_number, pattern.numbers))
    starts = either(starts, _cut_at_line_ends(graph, pieces, kinds, is_line_end, is_white))
    return Pieces(codes, pieces.texts, cut_contractions(graph, pieces, starts, any_case=True))


def _cut_numbers(graph: Graph, pieces: Pieces, is_number: Value, size: int) -> Value:
    """Return which numbers start a piece, bool (characters,), if so many are one."""
    if size == 1:
        return is_number
    places = find_true(graph, is_number)
    is_first = _starts_run(graph, pieces, places)
    firsts = take(graph, places, find_true(graph, is_first))
    run = graph.sub(running_sum(graph, graph.cast(is_first, np.int64)), np.int64(1))
    offset = graph.sub(places, take(graph, firsts, run))
    is_start = graph.equal(graph.node("Mod", offset, np.int64(size)), np.int64(0))
    (places,) = keep(graph, is_start, places)
    return mark(graph, _nowhere(graph, pieces), places)


def _cut_at_line_ends(
    graph: Graph, pieces: Pieces, kinds: Value, is_line_end: Value, is_white: Value
) -> Value:
    """Return where white space starts anew behind a line end, bool (characters,).

    That is behind line ends that belong to others before them, and behind the last of white space.
    """
    any_line_end = graph.node("ReduceMax", graph.cast(is_line_end, np.int32), keepdims=0)

    def find(body: Graph) -> list[Value]:
        places = find_true(body, is_line_end)
        is_first = _starts_run(body, pieces, places)
        (firsts,) = keep(body, is_first, places)
        (lasts,) = keep(body, after(body, is_first, np.bool_(True)), places)
        behind = body.add(lasts, np.int64(1))
        ahead = body.maximum(body.sub(firsts, np.int64(1)), np.int64(0))
        follows_other = body.equal(take(body, kinds, ahead), np.int32(OTHER))
        belongs = body.node("And", follows_other, body.node("Not", take(body, pieces.starts, firsts)))
        # White space goes on to the next line end if it is not bounded before.
        is_bound = body.node("Or", body.node("Not", is_white), pieces.starts)
        bounds = running_sum(body, body.cast(is_bound, np.int64))
        end = body.sub(count(body, kinds), np.int64(1))
        following = body.concat(body.slice(firsts, 1, 2**63 - 1, axis=0), end, axis=0)
        goes_on = body.equal(take(body, bounds, behind), take(body, bounds, following))
        is_start = body.node("Or", belongs, body.node("Not", goes_on))
        is_start = body.node("And", is_start, take(body, is_white, behind))
        return [mark(body, _nowhere(body, pieces), keep(body, is_start, behind)[0])]

    return graph.branch(
        graph.cast(any_line_end, np.bool_), find, lambda body: [_nowhere(body, pieces)], [(np.bool_, [None])]
    )[0]


def _starts_run(graph: Graph, pieces: Pieces, places: Value) -> Value:
    """Return which places, int64 (k,), have no other just before them in their piece, bool (k,)."""
    follows = graph.equal(before(graph, places, np.int64(-2)), graph.sub(places, np.int64(1)))
    return graph.node("Or", graph.node("Not", follows), take(graph, pieces.starts, places))


def _nowhere(graph: Graph, pieces: Pieces) -> Value:
    return graph.node("Expand", np.array([False]), count(graph, pieces.codes))


_LINE_ENDS = (ord("\r"), ord("\n"))
