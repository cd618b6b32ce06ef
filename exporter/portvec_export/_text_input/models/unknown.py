"""What Unigram makes of unknown characters: those that follow each other in a word are one token."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Type, Value
from portvec_export._text_input.arrays.expansion import repeat
from portvec_export._text_input.arrays.flat import (
    Ids,
    Words,
    before,
    count,
    find_true,
    is_any,
    running_sum,
    take,
)
from portvec_export._text_input.arrays.utf8 import count_bytes, find_bytes
from portvec_export._text_input.models.suffixes import SuffixPieces


@dataclass(frozen=True)
class Runs:
    """Pieces, of which unknown ones that follow each other in a word are one.

    Attributes:
        tokens: int32 (runs,), the id of each, for added tokens too; -1 for what is no piece.
        starts: int64 (runs,), the first character of each.
        words: int64 (runs,), the word of each.
    """

    tokens: Value
    starts: Value
    words: Value


def fuse(
    graph: Graph,
    words: Words,
    starts: Value,
    tokens: Value,
    unk_id: int,
    *,
    pieces: SuffixPieces,
    longest: Value,
) -> Runs:
    """Return the runs of the pieces of words. A run is looked up as a whole: it may be a piece.

    Args:
        graph: to add the nodes to.
        words: the words.
        starts: int64 (pieces,), the first character of each piece.
        tokens: int32 (pieces,), the id of each, or `pieces.unknown`.
        unk_id: of the unknown token, which texts may have literally.
        pieces: of the model.
        longest: int32 (characters,), the longest piece that ends at each character.
    """
    codes, owners = take(graph, words.codes, starts), take(graph, words.words, starts)
    is_added = graph.node("Less", codes, np.int32(0))
    is_unknown = graph.equal(tokens, np.int32(pieces.unknown))
    tokens = graph.where(is_unknown, np.int32(-1), tokens)
    is_known = graph.node("Not", graph.node("Or", is_unknown, graph.equal(tokens, np.int32(unk_id))))
    tokens = graph.where(is_added, graph.sub(np.int32(-1), codes), tokens)
    is_known = graph.node("Or", is_known, is_added)
    # Most texts have nothing that is unknown.
    are_known = graph.cast(graph.node("ReduceMin", graph.cast(is_known, np.int32), keepdims=0), np.bool_)

    def fuse_unknown(inner: Graph) -> list[Value]:
        runs = _fuse_unknown(inner, Runs(tokens, starts, owners), is_known, pieces, longest)
        return [runs.tokens, runs.starts, runs.words]

    types: list[Type] = [(np.int32, [None]), (np.int64, [None]), (np.int64, [None])]
    return Runs(*graph.branch(are_known, lambda inner: [tokens, starts, owners], fuse_unknown, types))


def _fuse_unknown(graph: Graph, each: Runs, is_known: Value, pieces: SuffixPieces, longest: Value) -> Runs:
    """Return the runs of pieces, of which each is a run as yet; `is_known`, bool (pieces,), stay alone."""
    tokens, starts, owners = each.tokens, each.starts, each.words
    is_first = graph.node("Less", before(graph, owners, np.int64(-1)), owners)
    is_first = graph.node("Or", is_first, graph.node("Or", is_known, before(graph, is_known, np.bool_(True))))
    first = find_true(graph, is_first)
    # One piece is what it is; more than one are looked up.
    is_fused = graph.node("Greater", _distances(graph, first, count(graph, starts)), np.int64(1))
    fused = find_true(graph, is_fused)
    tokens, starts = take(graph, tokens, first), take(graph, starts, first)
    lengths = take(graph, _distances(graph, starts, count(graph, longest)), fused)
    ends = graph.sub(graph.add(take(graph, starts, fused), lengths), np.int64(1))
    found = _look_up(graph, pieces, take(graph, longest, ends), graph.cast(lengths, np.int32))
    tokens = graph.node("ScatterElements", tokens, fused, found, axis=0)
    return Runs(tokens, starts, take(graph, owners, first))


def name(graph: Graph, words: Words, runs: Runs, unk_id: int, byte_ids: npt.NDArray[np.int32] | None) -> Ids:
    """Return the ids of runs: of what is no piece, those of its bytes if there are such, or `unk_id`.

    `byte_ids`, (256,), are those of the tokens for bytes, -1 for those that are not there.
    """
    is_unknown = graph.node("Less", runs.tokens, np.int32(0))
    ids, owners = graph.where(is_unknown, np.int32(unk_id), runs.tokens), runs.words
    if byte_ids is not None:
        ids, owners = graph.branch(
            is_any(graph, find_true(graph, is_unknown)),
            lambda body: _spell(body, words, runs, is_unknown, ids, byte_ids),
            lambda body: [ids, owners],
            [(np.int32, [None]), (np.int64, [None])],
        )
    return Ids(ids, take(graph, words.texts, owners))


def _distances(graph: Graph, values: Value, end: Value) -> Value:
    """Return the distance of each of values, int64 (n,), to the next; that of the last to `end`, (1,)."""
    following = graph.concat(graph.slice(values, 1, 2**63 - 1, axis=0), end, axis=0)
    return graph.sub(following, values)


def _look_up(graph: Graph, pieces: SuffixPieces, longest: Value, lengths: Value) -> Value:
    """Return the ids, int32 (n,), of the pieces with certain lengths, -1 for what is no piece.

    Args:
        graph: to add the nodes to.
        pieces: of the model.
        longest: int32 (n,), the longest piece that ends where the one that is looked for ends.
        lengths: int32 (n,), characters of the one that is looked for: at least 2.
    """
    steps = graph.sub(lengths, np.int32(1))

    def is_longer(body: Graph, ids: Value) -> Value:
        return body.node("Greater", pieces.steps(body, ids), steps)

    def shorten(body: Graph, trip: Value, states: list[Value]) -> tuple[Value, list[Value]]:
        (ids,) = states
        ids = body.where(is_longer(body, ids), pieces.shorter(body, ids), ids)
        return is_any(body, find_true(body, is_longer(body, ids))), [ids]

    is_any_longer = is_any(graph, find_true(graph, is_longer(graph, longest)))
    types: list[Type] = [(np.int32, [None])]
    (ids,) = graph.loop([longest], shorten, types, condition=is_any_longer)
    return graph.where(graph.equal(pieces.steps(graph, ids), steps), ids, np.int32(-1))


def _spell(
    graph: Graph,
    words: Words,
    runs: Runs,
    is_unknown: Value,
    ids: Value,
    byte_ids: npt.NDArray[np.int32],
) -> list[Value]:
    """Return the ids of runs, int32 (ids,), of bytes for unknown ones, and their words, int64 (ids,)."""
    zeros = graph.node("Expand", np.int64(0), count(graph, words.codes))
    ones = graph.node("Expand", np.int64(1), count(graph, runs.starts))
    is_start = graph.node("ScatterElements", zeros, runs.starts, ones, axis=0)
    owners = graph.sub(running_sum(graph, is_start), np.int64(1))
    is_start = graph.cast(is_start, np.bool_)

    def spell(is_spelled: Value) -> tuple[Value, Value]:
        """Return ids, int32 (ids,), and the run of each. Of runs that are not spelled, there is one."""
        is_inside = take(graph, is_spelled, owners)
        kept = find_true(graph, graph.node("Or", is_inside, is_start))
        codes, of_runs, is_inside = (take(graph, each, kept) for each in (words.codes, owners, is_inside))
        counts = graph.where(is_inside, count_bytes(graph, codes), np.int32(1))
        places, left = repeat(graph, counts)
        codes, of_runs, is_inside, counts = (
            take(graph, each, places) for each in (codes, of_runs, is_inside, counts)
        )
        # Whatever the others get is not used.
        codes = graph.where(is_inside, codes, np.int32(0))
        spelled = take(graph, graph.constant(byte_ids), find_bytes(graph, codes, counts, left))
        return graph.where(is_inside, spelled, take(graph, ids, of_runs)), of_runs

    spelled, of_runs = spell(is_unknown)
    if byte_ids.min() < 0:
        # All bytes of a run have tokens, or none is used.
        lacking = take(graph, of_runs, find_true(graph, graph.node("Less", spelled, np.int32(0))))
        never = graph.node("Expand", np.bool_(False), count(graph, lacking))
        spelled, of_runs = spell(graph.node("ScatterElements", is_unknown, lacking, never, axis=0))
    return [spelled, take(graph, runs.words, of_runs)]
