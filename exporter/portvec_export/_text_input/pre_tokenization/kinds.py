"""Pre-tokenizers that cut where the kind of the characters changes, or beside those of some kind."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from portvec._vocabulary.components import Component
from portvec._vocabulary.kinds import LETTER, OTHER, SPACE
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.code_tables import pack
from portvec_export._text_input.arrays.flat import before, find_true, look_up, take
from portvec_export._text_input.arrays.images import CODES, scalar_values
from portvec_export._text_input.arrays.segments import Pieces, differs
from portvec_export._text_input.errors import NotExpressible
from portvec_export._vocabulary.kinds import find_kinds

# What happens to characters of the kind OTHER: each is a piece, a run of them is, none is left, or each goes
# with what stands before or after it.
ISOLATED: Final = "Isolated"
CONTIGUOUS: Final = "Contiguous"
_REMOVED: Final = "Removed"
_WITH_PREVIOUS: Final = "MergedWithPrevious"
_WITH_NEXT: Final = "MergedWithNext"


def add_bert(graph: Graph, pieces: Pieces, state: Component, name: str) -> Pieces:
    """Cut at white space, which is dropped, and around each punctuation character."""
    return _cut(graph, pieces, kinds_of_all(state), ISOLATED, name)


def add_whitespace(graph: Graph, pieces: Pieces, state: Component, name: str) -> Pieces:
    """Cut at white space, which is dropped, and where letters and others meet, if there are others."""
    return _cut(graph, pieces, kinds_of_all(state), CONTIGUOUS, name)


def add_digits(graph: Graph, pieces: Pieces, state: Component, name: str) -> Pieces:
    """Cut around digits: each, or each run of them."""
    behavior = ISOLATED if state["individual_digits"] else CONTIGUOUS
    return _cut(graph, pieces, kinds_of_all(state), behavior, name)


def add_punctuation(graph: Graph, pieces: Pieces, state: Component, name: str) -> Pieces:
    """Cut at punctuation, in the way that the state names."""
    return _cut(graph, pieces, kinds_of_all({**state, "behavior": ISOLATED}), state["behavior"], name)


def add_delimiter(graph: Graph, pieces: Pieces, state: Component, name: str) -> Pieces:
    """Cut at one character, which is dropped."""
    return _cut(graph, pieces, _only(state["delimiter"]), _REMOVED, name)


def add_split(graph: Graph, pieces: Pieces, state: Component, name: str) -> Pieces:
    """Cut at one character, in the way that the state names.

    Raises:
        NotExpressible: it cuts at something else.
    """
    pattern = state["pattern"].get("String", "")
    if len(pattern) != 1 or state["invert"]:
        raise NotExpressible(f"its pre-tokenizer splits at the pattern {state['pattern']}")
    return _cut(graph, pieces, _only(pattern), state["behavior"], name)


def kinds_of_all(state: Component) -> npt.NDArray[np.uint8]:
    """Return the kind of each code point, uint8, for a step of a pre-tokenizer."""
    return _find_kinds(json.dumps(state))


@lru_cache(maxsize=8)  # asking takes a second, and a model may get two graphs
def _find_kinds(state: str) -> npt.NDArray[np.uint8]:
    codes = np.fromiter(scalar_values(), np.int64)
    kinds = np.full(CODES, LETTER, dtype=np.uint8)
    kinds[codes] = find_kinds(json.loads(state), codes)
    return kinds


def _only(character: str) -> npt.NDArray[np.uint8]:
    kinds = np.full(CODES, LETTER, dtype=np.uint8)
    kinds[ord(character)] = OTHER
    return kinds


def _cut(graph: Graph, pieces: Pieces, table: npt.NDArray[np.uint8], behavior: str, name: str) -> Pieces:
    """Return smaller pieces. `table` has the kind of each code point; those of the kind SPACE are dropped."""
    kinds = add_kinds(graph, pieces.codes, table, name)
    previous = before(graph, kinds, np.int32(LETTER))
    if behavior == _WITH_PREVIOUS:
        starts = graph.equal(previous, np.int32(OTHER))
    elif behavior == _WITH_NEXT:
        starts = graph.equal(kinds, np.int32(OTHER))
    else:
        starts = differs(graph, kinds, previous)
        if behavior == ISOLATED:
            starts = graph.node("Or", starts, graph.equal(kinds, np.int32(OTHER)))
    cut = Pieces(pieces.codes, pieces.texts, graph.node("Or", starts, pieces.starts))
    dropped = OTHER if behavior == _REMOVED else SPACE
    if not (table == dropped).any():
        return cut
    # What follows something that is dropped is of another kind, so it is a start already.
    kept = differs(graph, kinds, graph.constant(np.int32(dropped)))
    places = find_true(graph, kept)
    return Pieces(*(take(graph, each, places) for each in (cut.codes, cut.texts, cut.starts)))


def add_kinds(graph: Graph, codes: Value, table: npt.NDArray[np.uint8], name: str) -> Value:
    """Return the kinds of codes, int32. Added tokens are letters, since they are pieces anyway."""
    names = (f"{name}.pages", f"{name}.kinds")
    return graph.cast(look_up(graph, codes, pack(table, LETTER), names), np.int32)
