"""Running parts of the text-in graph: flat characters, words and ids of texts, made and read in numpy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx

from portvec._inference.onnxruntime import onnxruntime as ort
from portvec_export._onnx.builder import Graph
from portvec_export._text_input.arrays.flat import END, END_ID, Ids, Words

Arrays = dict[str, np.ndarray]


def sessions(graph: Graph) -> Iterator[ort.InferenceSession]:
    """Yield sessions with all of onnxruntime's optimizations and with none."""
    model = graph.to_model()
    onnx.checker.check_model(model, full_check=True)
    for level in (ort.GraphOptimizationLevel.ORT_ENABLE_ALL, ort.GraphOptimizationLevel.ORT_DISABLE_ALL):
        options = ort.SessionOptions()
        options.graph_optimization_level = level
        options.intra_op_num_threads = 1
        yield ort.InferenceSession(model.SerializeToString(), options)


def run_all(graph: Graph, feeds: Sequence[Arrays]) -> list[list[np.ndarray]]:
    """Run a graph on each feed, forwards and backwards, in sessions of both kinds; all must agree."""
    first: list[list[np.ndarray]] = []
    for session in sessions(graph):
        results = [session.run(None, feed) for feed in feeds]
        again = [session.run(None, feed) for feed in reversed(feeds)][::-1]
        for run in (results, again):
            first = first or run
            for got, expected in zip(run, first, strict=True):
                for a, b in zip(got, expected, strict=True):
                    np.testing.assert_array_equal(a, b)
    return first


def word_inputs(graph: Graph) -> Words:
    """Declare words as inputs."""
    return Words(
        graph.input("codes", np.int32, ["characters"]),
        graph.input("words", np.int64, ["characters"]),
        graph.input("texts", np.int64, ["words"]),
    )


def id_outputs(graph: Graph, ids: Ids) -> Graph:
    """Declare ids as outputs, and return the graph."""
    graph.output("ids", graph.identity(ids.ids), np.int32, ["ids"])
    graph.output("id_texts", graph.identity(ids.texts), np.int64, ["ids"])
    return graph


def feed_words(texts: Sequence[Sequence[str | int]]) -> Arrays:
    """Return the arrays of texts, which are lists of words. A number is the id of an added token."""
    words: list[list[int]] = []
    owners: list[int] = []
    for number, text in enumerate(texts):
        for word in text:
            words.append([-1 - word] if isinstance(word, int) else list(map(ord, word)))
            owners.append(number)
    words.append([END])
    owners.append(len(texts))
    codes = [code for word in words for code in word]
    numbers = np.repeat(np.arange(len(words)), list(map(len, words)))
    return {"codes": np.array(codes, np.int32), "words": numbers, "texts": np.array(owners, np.int64)}


def read_ids(outputs: Sequence[Any], count: int) -> list[list[int]]:
    """Return the ids of each of `count` texts."""
    ids, texts = outputs
    assert ids[-1] == END_ID
    assert texts[-1] == count
    assert (np.diff(texts) >= 0).all()
    return [ids[texts == number].tolist() for number in range(count)]
