"""Texts that are cut into pieces, step by step, until the pieces are words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.flat import Characters, Words, before, keep, running_sum


@dataclass(frozen=True)
class Pieces:
    """The characters of texts, and where pieces of them start.

    Attributes:
        codes: int32 (characters,), code points, or negative for added tokens.
        texts: int64 (characters,), the text of each.
        starts: bool (characters,), whether a piece starts at each, as at and after each added token.
    """

    codes: Value
    texts: Value
    starts: Value


def cut_at_tokens(graph: Graph, characters: Characters) -> Pieces:
    """Return texts as pieces: each added token is one, and so is what stands between two of them."""
    codes, texts = characters.codes, characters.texts
    is_token = graph.node("Less", codes, np.int32(0))
    starts = graph.node("Or", is_token, before(graph, is_token, np.bool_(True)))
    starts = graph.node("Or", starts, graph.node("Less", before(graph, texts, np.int64(-1)), texts))
    return Pieces(codes, texts, starts)


def to_words(graph: Graph, pieces: Pieces) -> Words:
    """Return pieces as words."""
    words = running_sum(graph, graph.cast(pieces.starts, np.int64))
    (texts,) = keep(graph, pieces.starts, pieces.texts)
    return Words(pieces.codes, graph.sub(words, np.int64(1)), texts)


def differs(graph: Graph, a: Value, b: Value) -> Value:
    """Return a != b."""
    return graph.node("Not", graph.equal(a, b))
