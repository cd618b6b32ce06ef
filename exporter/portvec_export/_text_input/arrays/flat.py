"""What texts are in the graph: the characters, words and ids of all texts one after the other.

Texts have different lengths, so there is no matrix of them: an array has the elements of all texts, and
another says which text each belongs to. The last element is `END`, in a text of its own behind the last one,
so no array is ever empty. Negative codes stand for added tokens, which are found before the others and pass
through all steps as they are: the code of token `i` is `-1 - i`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from portvec._vocabulary.characters import PAGE
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Operand, Value

# The id of the element behind the last text, and the code that stands for it, as for any added token.
END_ID: Final = 2**31 - 1
END: Final = -1 - END_ID

# The opset of graphs with text input: the first that has all that they need.
OPSET: Final = 18


@dataclass(frozen=True)
class Characters:
    """The characters of texts.

    Attributes:
        codes: int32 (characters,), code points, or negative for added tokens.
        texts: int64 (characters,), the text of each.
    """

    codes: Value
    texts: Value


@dataclass(frozen=True)
class Words:
    """The words of texts, which are what the model of a tokenizer gets. An added token is a word.

    Attributes:
        codes: int32 (characters,), of the words one after the other.
        words: int64 (characters,), the word of each character. Each word has at least one.
        texts: int64 (words,), the text of each word.
    """

    codes: Value
    words: Value
    texts: Value


@dataclass(frozen=True)
class Ids:
    """The token ids of texts, before any of them is cut off or dropped.

    Attributes:
        ids: int32 (ids,); the last is `END_ID`.
        texts: int64 (ids,), the text of each.
    """

    ids: Value
    texts: Value


def take(graph: Graph, values: Value, places: Value) -> Value:
    """Return values (n,) at places (m,). onnxruntime's Gather takes four times as long."""
    return graph.node("GatherElements", values, places, axis=0)


def find_true(graph: Graph, condition: Value) -> Value:
    """Return the places, int64 (m,), where a condition, bool (n,), holds.

    onnxruntime's NonZero takes five times as long where most places do.
    """
    return graph.node("Compress", list_places(graph, condition), condition, axis=0)


def list_places(graph: Graph, values: Value) -> Value:
    """Return the place, int64 (n,), of each of values (n,)."""
    return graph.node("Range", np.int64(0), graph.node("Size", values), np.int64(1))


def keep(graph: Graph, condition: Value, *values: Value) -> list[Value]:
    """Return the elements of values (n,) for which a condition, bool (n,), holds."""
    if len(values) == 1:
        return [graph.node("Compress", values[0], condition, axis=0)]
    places = find_true(graph, condition)
    return [take(graph, each, places) for each in values]


def before(graph: Graph, values: Value, first: np.generic) -> Value:
    """Return, for each element of values (n,), the one before it, and `first` for the first."""
    return graph.concat(np.array([first]), graph.slice(values, 0, -1, axis=0), axis=0)


def after(graph: Graph, values: Value, last: np.generic) -> Value:
    """Return, for each element of values (n,), the one after it, and `last` for the last."""
    return graph.concat(graph.slice(values, 1, _INT64_MAX, axis=0), np.array([last]), axis=0)


def mark(graph: Graph, values: Value, places: Value, *, value: bool = True) -> Value:
    """Return values, bool (n,), with one value at all places, int64 (k,)."""
    updates = graph.node("Expand", np.array([value]), count(graph, places))
    return graph.node("ScatterElements", values, places, updates, axis=0)


def running_sum(graph: Graph, values: Value, *, exclusive: bool = False) -> Value:
    """Return the sums of values (n,), int32 or int64, up to each; before each if `exclusive`."""
    return graph.node("CumSum", values, np.int64(0), exclusive=int(exclusive))


def count(graph: Graph, values: Value) -> Value:
    """Return the number of values (n,) as int64 (1,)."""
    return graph.node("Shape", values)


class Table(NamedTuple):
    """A two-stage table with an entry for each code point, and one for all added tokens.

    Attributes:
        offsets: int32 (pages,), what to add to the codes of a page to get their places.
        entries: (places,). The first is that of added tokens, which are looked up as code -1.
    """

    offsets: npt.NDArray[np.int32]
    entries: npt.NDArray[Any]


def make_table(pages: npt.NDArray[Any], entries: npt.NDArray[Any], of_tokens: int = 0) -> Table:
    """Return a table.

    Args:
        pages: (pages,), where the entries of each page begin. Page 0 begins at 0, or behind `of_tokens`.
        entries: of the pages.
        of_tokens: the entry of added tokens.
    """
    offsets = pages.astype(np.int64) - np.arange(len(pages)) * PAGE + 1
    entries = np.concatenate([np.array([of_tokens], entries.dtype), entries])
    assert entries[offsets[0] - 1] == of_tokens
    return Table(offsets.astype(np.int32), entries)


def look_up(graph: Graph, codes: Value, table: Table, names: tuple[str, str]) -> Value:
    """Return the entry of each code, int32 (n,). The arrays of the table are stored under `names`."""
    codes = graph.maximum(codes, np.int32(-1))
    # Division truncates: -1 is on page 0.
    offset = take(graph, graph.tensor(names[0], table.offsets), graph.div(codes, np.int32(PAGE)))
    return take(graph, graph.tensor(names[1], table.entries), graph.add(offset, codes))


def at_most(graph: Graph, a: Operand, b: Operand) -> Value:
    """Return a <= b."""
    return graph.node("LessOrEqual", a, b)


def is_any(graph: Graph, values: Value) -> Value:
    """Return whether there are any values (n,), as bool ()."""
    return graph.node("Greater", graph.node("Size", values), np.int64(0))


def any_true(graph: Graph, condition: Value) -> Value:
    """Return whether a condition, bool (n,) with n at least 1, holds anywhere, as bool ()."""
    return graph.cast(graph.node("ReduceMax", graph.cast(condition, np.int32), keepdims=0), np.bool_)


_INT64_MAX = 2**63 - 1
