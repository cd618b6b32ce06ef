"""The trie of pieces in a graph."""

from __future__ import annotations

import numpy as np

from flat_texts import run_all
from portvec_export._onnx.builder import Graph
from portvec_export._text_input.arrays.flat import END, OPSET
from portvec_export._text_input.arrays.trie import PieceTrie
from portvec_export._vocabulary.pieces import compile_trie

PIECES = {"a": 0, "ab": 1, "abcd": 2, "##b": 3, "##bc": 4, "\0x": 5, "\U0001f600": 6, "#": 7}


def compiled() -> PieceTrie:
    return PieceTrie(compile_trie(PIECES))


def walked(texts: str, root: int) -> list[int]:
    """Return the last state of a walk from `root` at each character."""
    graph = Graph(OPSET)
    trie = PieceTrie(compile_trie(PIECES))
    codes = graph.input("codes", np.int32, ["n"])
    places, states = graph.input("places", np.int64, ["k"]), graph.input("states", np.int32, ["k"])
    last = trie.walk(graph, trie.symbols(graph, codes), places, states, trie.longest)
    graph.output("last", last, np.int32, ["k"])
    feeds: list[dict[str, np.ndarray]] = [
        {
            "codes": np.array([*map(ord, text), END], np.int32),
            "places": np.arange(len(text)),
            "states": np.full(len(text), root, np.int32),
        }
        for text in (texts, "", texts[:1])
    ]
    return list(run_all(graph, feeds)[0][0].tolist())


def test_a_walk_goes_as_far_as_there_are_pieces() -> None:
    trie = compiled()
    found = walked("abczab\0x\U0001f600", 0)
    expected = ["abc", "", "", "", "ab", "", "\0x", "", "\U0001f600"]
    assert found == [trie.state_after(way) for way in expected]


def test_a_walk_may_begin_below_a_prefix() -> None:
    trie = compiled()
    root = trie.state_after("##")
    assert root is not None
    assert walked("bcb", root) == [trie.state_after("##bc"), root, trie.state_after("##b")]


def test_the_last_piece_on_a_way() -> None:
    ways = {"abc": "ab", "abcd": "abcd", "a": "a", "##": "#", "##bc": "##bc", "": None, "\0": None}
    graph = Graph(OPSET)
    trie = compiled()
    ids, lengths = trie.last_piece(graph, graph.input("states", np.int32, ["n"]))
    graph.output("ids", ids, np.int32, ["n"])
    graph.output("lengths", lengths, np.int32, ["n"])
    states = np.array([trie.state_after(way) for way in ways], np.int32)
    found = run_all(graph, [{"states": states}])[0]
    expected = [(-1, 0) if piece is None else (PIECES[piece], len(piece)) for piece in ways.values()]
    assert list(zip(*(each.tolist() for each in found), strict=True)) == expected


def test_unknown_and_negative_codes_have_symbol_0() -> None:
    graph = Graph(OPSET)
    trie = PieceTrie(compile_trie(PIECES))
    graph.output("symbols", trie.symbols(graph, graph.input("codes", np.int32, ["n"])), np.int32, ["n"])
    codes = np.array([0, ord("a"), ord("q"), 0x10FFFF, -1, END], np.int32)
    (symbols,) = run_all(graph, [{"codes": codes}])[0]
    assert (symbols > 0).tolist() == [True, True, False, False, False, False]


def test_the_longest_piece_and_its_end() -> None:
    trie = compiled()
    assert trie.longest == 4
    assert trie.state_after("abx") is None
