"""Run a graph with text input on the texts of a job, with onnxruntime and numpy alone.

    python host.py GRAPH JOB RESULT

`job.py` describes the two files. The batches run in order, then in reverse: onnxruntime 1.17 has given wrong
results from a session's second run on. Prints the version.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def batches(path: str) -> list[list[str]]:
    data = Path(path).read_bytes()
    place = 0

    def number() -> int:
        nonlocal place
        place += 4
        return int(struct.unpack_from("<i", data, place - 4)[0])

    def text() -> str:
        nonlocal place
        size = number()
        place += size
        return data[place - size : place].decode("utf-8")

    return [[text() for _ in range(number())] for _ in range(number())]


def feed(texts: list[str], name: str) -> np.ndarray:
    """Return texts as the graph's input: strings, or code points padded with -1."""
    if name == "text":
        return np.array(texts, dtype=object)
    codes = np.full((len(texts), max(map(len, texts), default=0)), -1, np.int32)
    for row, text in zip(codes, texts, strict=True):
        row[: len(text)] = [ord(character) for character in text]
    return codes


def main(graph: str, job: str, result: str) -> None:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    inputs = [{name: feed(texts, name)} for texts in batches(job)]
    names = ["input_ids", "sentence_embedding"]
    found = [session.run(names, each) for each in inputs]
    for each, (ids, vectors) in zip(inputs[::-1], found[::-1], strict=True):
        again = session.run(names, each)
        if not np.array_equal(ids, again[0]) or not np.allclose(vectors, again[1], rtol=0, atol=1e-6):
            sys.exit("other ids or vectors in the second run of a session")
    with Path(result).open("wb") as file:
        for ids, vectors in found:
            file.write(struct.pack("<iii", *ids.shape, vectors.shape[1]))
            file.write(ids.astype("<i4").tobytes() + vectors.astype("<f4").tobytes())
    print(onnxruntime.__version__)


if __name__ == "__main__":
    main(*sys.argv[1:])
