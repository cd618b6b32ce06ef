"""Composing decomposed characters: a character and one after it become one.

Which pairs do is asked of the normalizer: it may know another version of Unicode than Python does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from tokenizers import normalizers

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.code_tables import CodeTable
from portvec_export._text_input.arrays.flat import Characters, before, count, find_true, keep, take
from portvec_export._text_input.arrays.images import CODES, scalar_values
from portvec_export._text_input.normalization.canonical_order import CLASSES, find_classes
from portvec_export._vocabulary.trie import displace_rows

# In the facts about a character, its column is a multiple of the first number, and its row of the second.
_COLUMN: Final = CLASSES
_ROW: Final = CLASSES * 256

# Stands for a character that was composed with one before it.
_GONE: Final = CODES


@dataclass(frozen=True)
class Pairs:
    """Which pairs of characters become one. That of a row and a column is in slot `base[row] + column`.

    Attributes:
        facts: int32 (code points,): the class of a character, its column if it can be the second of a pair,
            and its row if it can be the first. Columns and rows start at 1.
        base: int32 (rows,).
        check: int32 (slots,), the row that a slot belongs to, or -1.
        composed: int32 (slots,), the character.
        rows: int32 (slots,), its own row, or 0.
    """

    facts: npt.NDArray[np.int32]
    base: npt.NDArray[np.int32]
    check: npt.NDArray[np.int32]
    composed: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Facts:
    """The facts about characters in a graph, each int32 (characters,)."""

    classes: Value
    columns: Value
    rows: Value


def look_up_facts(graph: Graph, codes: Value) -> Facts:
    """Return the facts about characters."""
    facts = _fact_table().look_up(graph, codes)
    high = graph.div(facts, np.int32(_COLUMN))
    rows = graph.div(facts, np.int32(_ROW))
    return Facts(
        graph.sub(facts, graph.mul(high, np.int32(_COLUMN))),
        graph.sub(high, graph.mul(rows, np.int32(_ROW // _COLUMN))),
        rows,
    )


def compose(graph: Graph, characters: Characters, facts: Facts) -> Characters:
    """Return the composition of characters that are decomposed and in canonical order.

    A run begins with a character that nothing before it can be composed with. Each trip of a loop looks at
    the next character of all runs: it goes into the starter before it, or is a starter itself, or a mark.
    """
    codes, texts = characters.codes, characters.texts
    may_join = graph.node("Greater", graph.add(facts.classes, facts.columns), np.int32(0))
    is_inside = graph.node("And", may_join, graph.equal(texts, before(graph, texts, np.int64(-1))))
    starts = find_true(graph, graph.node("Not", is_inside))
    ends = graph.concat(graph.slice(starts, 1, 2**63 - 1, axis=0), count(graph, codes), axis=0)
    lengths = graph.sub(ends, starts)
    trips = graph.sub(graph.node("ReduceMax", lengths, keepdims=0), np.int64(1))
    starts, ends = keep(graph, graph.node("Greater", lengths, np.int64(1)), starts, ends)

    def join_next(inner: Graph, _: Value, states: list[Value]) -> tuple[Value | None, list[Value]]:
        return None, _join_next(inner, codes, facts, states)

    states = [
        codes,
        graph.add(starts, np.int64(1)),
        ends,
        starts,
        take(graph, codes, starts),
        take(graph, facts.rows, starts),
        graph.sub(take(graph, codes, starts), take(graph, codes, starts)),
    ]
    types = [np.int32, np.int64, np.int64, np.int64, np.int32, np.int32, np.int32]
    results = graph.loop(states, join_next, [(each, [None]) for each in types], trips=trips)
    is_left = graph.node("Not", graph.equal(results[0], np.int32(_GONE)))
    return Characters(*keep(graph, is_left, results[0], texts))


def _join_next(graph: Graph, codes: Value, facts: Facts, states: list[Value]) -> list[Value]:
    """Look at the next character of each run.

    The states are the codes (characters,) so far, and of each run that goes on: the place of its next
    character and its end; the place, the code and the row of its last starter; and the class of the last mark
    after that, or 0.
    """
    pairs = find_pairs()
    base, check, composed, composed_rows = (
        graph.constant(each) for each in (pairs.base, pairs.check, pairs.composed, pairs.rows)
    )
    result, places, ends, starters, starter_codes, starter_rows, last = states
    code, its_class, column, row = (
        take(graph, each, places) for each in (codes, facts.classes, facts.columns, facts.rows)
    )
    slot = graph.add(take(graph, base, starter_rows), column)
    is_pair = graph.equal(take(graph, check, slot), starter_rows)
    is_next = graph.equal(last, np.int32(0))
    is_free = graph.node("Or", is_next, graph.node("Less", last, its_class))
    joins = graph.node("And", is_pair, is_free)

    joined = graph.where(joins, take(graph, composed, slot), starter_codes)
    left = graph.where(joins, np.int32(_GONE), code)
    written = graph.concat(starters, places, axis=0)
    result = graph.node("ScatterElements", result, written, graph.concat(joined, left, axis=0), axis=0)

    is_starter = graph.node("And", graph.node("Not", joins), graph.equal(its_class, np.int32(0)))
    following = graph.add(places, np.int64(1))
    goes_on = graph.node("Less", following, ends)
    new = [
        following,
        ends,
        graph.where(is_starter, places, starters),
        graph.where(is_starter, code, joined),
        graph.where(is_starter, row, graph.where(joins, take(graph, composed_rows, slot), starter_rows)),
        graph.where(joins, last, its_class),
    ]
    return [result, *keep(graph, goes_on, *new)]


@cache
def _fact_table() -> CodeTable:
    return CodeTable("compositions", find_pairs().facts)


def find_joining() -> npt.NDArray[np.bool_]:
    """Return which code points are the second of a pair, or a mark."""
    return find_pairs().facts % _ROW > 0


@cache
def find_pairs() -> Pairs:
    """Ask the normalizer which pairs of characters become one."""
    decompose, compose_ = normalizers.NFD().normalize_str, normalizers.NFC().normalize_str
    pairs: dict[tuple[int, int], int] = {}
    for code in scalar_values():
        parts = decompose(chr(code))
        if len(parts) > 1 and compose_(parts) == chr(code):
            first = compose_(parts[:-1])
            if len(first) == 1 and compose_(first + parts[-1]) == chr(code):
                pairs[ord(first), ord(parts[-1])] = code

    firsts = sorted({first for first, _ in pairs})
    seconds = sorted({second for _, second in pairs})
    rows = {code: number for number, code in enumerate(firsts, 1)}
    columns = {code: number for number, code in enumerate(seconds, 1)}
    keys = sorted((rows[first], columns[second], code) for (first, second), code in pairs.items())
    parents, steps, composed = np.array(keys, dtype=np.int64).T
    base, slots = displace_rows(parents, steps, len(keys) + 1)
    base, slots = base[: len(firsts) + 1], slots[1:]
    check, values, next_rows = np.zeros((3, int(base.max()) + len(seconds) + 1), dtype=np.int32)
    check[:] = -1
    check[slots] = parents
    values[slots] = composed
    next_rows[slots] = [rows.get(code, 0) for code in composed.tolist()]
    facts = find_classes().copy()
    facts[seconds] += np.arange(1, len(seconds) + 1, dtype=np.int32) * _COLUMN
    facts[firsts] += np.arange(1, len(firsts) + 1, dtype=np.int32) * _ROW
    return Pairs(facts, base.astype(np.int32), check, values, next_rows)
