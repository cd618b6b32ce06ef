"""Which ids of a text are pooled: the first ones, without those that do not contribute."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.flat import END_ID, Ids, count, keep, running_sum, take

# Behind the end of any array.
_LAST = 2**63 - 1


@dataclass(frozen=True)
class PooledIds:
    """The ids of texts that are pooled, one text after the other.

    Attributes:
        ids: int32 (ids,).
        places: int64 (ids,), the place of each in its text.
        texts: int64 (ids,), the text of each.
        batch_size: int64 (1,), the number of texts.
        counts: int64 (texts + 1,), the number of ids of each text, and 0 for one more.
        starts: int64 (texts + 1,), where the ids of each text begin.
    """

    ids: Value
    places: Value
    texts: Value
    batch_size: Value
    counts: Value
    starts: Value


def pool_ids(graph: Graph, ids: Ids, max_length: int | None, unk_id: int | None) -> PooledIds:
    """Keep the first `max_length` ids of each text, and of those all but `unk_id`. None sets no rule."""
    # The last id belongs to a text behind the last.
    batch_size = graph.slice(ids.texts, -1, _LAST, axis=0)
    is_kept = graph.node("Less", ids.ids, np.int32(END_ID))
    if max_length is not None:
        # Those behind have one of the same text so many places before them.
        texts = graph.slice(ids.texts, max_length, _LAST, axis=0)
        earlier = graph.slice(ids.texts, 0, -max_length or _LAST, axis=0)
        rest = graph.slice(is_kept, max_length, _LAST, axis=0)
        rest = graph.node("And", rest, graph.node("Less", earlier, texts))
        is_kept = graph.concat(graph.slice(is_kept, 0, max_length, axis=0), rest, axis=0)
    if unk_id is not None:
        is_other = graph.node("Not", graph.equal(ids.ids, np.int32(unk_id)))
        is_kept = graph.node("And", is_kept, is_other)
    kept, texts = keep(graph, is_kept, ids.ids, ids.texts)
    places, counts, starts = _number(graph, texts, batch_size)
    return PooledIds(kept, places, texts, batch_size, counts, starts)


def _number(graph: Graph, texts: Value, batch_size: Value) -> tuple[Value, Value, Value]:
    """Return places, counts and starts, as `PooledIds` has them, of ids that belong to `texts` (ids,)."""
    ones = graph.node("Expand", np.int64(1), count(graph, texts))
    zeros = graph.node("Expand", np.int64(0), graph.add(batch_size, np.int64(1)))
    counts = graph.node("ScatterElements", zeros, texts, ones, axis=0, reduction="add")
    starts = running_sum(graph, counts, exclusive=True)
    places = graph.sub(running_sum(graph, ones, exclusive=True), take(graph, starts, texts))
    return places, counts, starts
