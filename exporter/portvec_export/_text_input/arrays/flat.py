"""What texts are in the graph: the characters, words and ids of all texts one after the other.

Texts have different lengths, so there is no matrix of them: an array has the elements of all texts, and
another says which text each belongs to. The last element is `END`, in a text of its own behind the last one,
so no array is ever empty. Negative codes stand for added tokens, which are found before the others and pass
through all steps as they are: the code of token `i` is `-1 - i`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

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
    size = graph.squeeze(graph.node("Shape", condition), 0)
    places = graph.node("Range", np.int64(0), size, np.int64(1))
    return graph.node("Compress", places, condition, axis=0)


def find_most(graph: Graph, condition: Value) -> Value:
    """Return what `find_true` does. Where most elements hold, it takes a third of the time."""
    size = graph.squeeze(graph.node("Shape", condition), 0)
    numbers = graph.node("Range", np.int64(0), size, np.int64(1))
    return graph.node("Compress", numbers, condition, axis=0)


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


def look_up(
    graph: Graph,
    codes: Value,
    pages: npt.NDArray[np.int32],
    entries: npt.NDArray[np.generic],
    names: tuple[str, str],
) -> Value:
    """Return the entry of a two-stage table for each code (n,), which must not be negative.

    `pages` are those that `portvec_export._vocabulary.tables.pack_table` makes. The two arrays are stored
    under `names`.
    """
    high = graph.node("Div", codes, np.int32(256))
    low = graph.sub(codes, graph.mul(high, np.int32(256)))
    page = take(graph, graph.tensor(names[0], pages), high)
    place = graph.add(graph.mul(page, np.int32(256)), low)
    return take(graph, graph.tensor(names[1], entries), place)


def at_most(graph: Graph, a: Operand, b: Operand) -> Value:
    """Return a <= b."""
    return graph.node("LessOrEqual", a, b)


_INT64_MAX = 2**63 - 1
