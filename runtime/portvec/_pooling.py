"""Token ids to embeddings: length-sorted, padded blocks through the graph, results in input order."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor

import numpy as np
import numpy.typing as npt

from portvec._graph import Graph
from portvec._tokens import TokenIds

# Tokens in one run of the graph, padding included. The gathered rows of a block (4096 x 256 float32 is 4 MiB)
# shall stay in a processor's caches between the gather and the sum, and a run shall take long enough that
# threads do not wait for Python's lock.
BLOCK_TOKENS = 4096

# onnxruntime sums over the first axis with its fast kernel only where that is longer than 16.
_MIN_LENGTH = 17


def pool(
    tokens: TokenIds,
    graph: Graph,
    out: npt.NDArray[np.float32],
    executor: Executor | None = None,
    threads: int = 1,
) -> None:
    """Write the graph's output for each text of `tokens` to the same row of `out`, float32 (n, width).

    With an executor, so many of its threads share the blocks.
    """
    lengths = np.diff(tokens.offsets)

    def run(blocks: list[npt.NDArray[np.int64]]) -> None:
        for rows in blocks:
            out[rows] = graph.run(*_padded(tokens, rows, lengths[rows]))

    empty = lengths == 0
    if empty.any():  # all alike: the zero vector, or what a head makes of it
        nothing = np.zeros((1, _MIN_LENGTH), dtype=np.int64)
        out[empty] = graph.run(nothing, nothing)
    blocks = list(_blocks(lengths))
    if executor is None or len(blocks) == 1:
        run(blocks)
    else:  # one call a thread: handing over single blocks costs more than some of them
        for _ in executor.map(run, (blocks[start::threads] for start in range(threads))):
            pass


def _blocks(lengths: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the rows of each block: texts of similar length, the longest first."""
    order = np.argsort(-lengths, kind="stable")
    order = order[: np.count_nonzero(lengths)]
    start = 0
    while start < len(order):
        longest = max(int(lengths[order[start]]), _MIN_LENGTH)
        stop = start + max(1, BLOCK_TOKENS // longest)
        yield order[start:stop]
        start = stop


def _padded(
    tokens: TokenIds, rows: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return token ids and attention mask of a block, int64 (len(rows), longest)."""
    width = max(int(lengths[0]), _MIN_LENGTH)
    position = np.arange(width)
    mask = position < lengths[:, None]
    input_ids = np.zeros(mask.shape, dtype=np.int64)
    source = tokens.offsets[rows][:, None] + position
    input_ids[mask] = tokens.ids[source[mask]]
    return input_ids, mask.astype(np.int64)
