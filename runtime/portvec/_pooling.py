"""Token ids to embeddings: blocks of texts of similar length through the graph, results in input order."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from functools import partial

import numpy as np
import numpy.typing as npt

from portvec._graph import MIN_LENGTH, Graph, Group
from portvec._tokens import Ids, TokenIds, offsets_of

# Tokens in one call of the graph: enough that what a call costs does not matter, few enough that threads
# share the work evenly and that its memory is small.
_GROUP_TOKENS = 1 << 15


def pool(
    tokens: TokenIds,
    graph: Graph,
    out: npt.NDArray[np.float32],
    executor: Executor | None = None,
) -> None:
    """Write the graph's output for each text of `tokens` to the same row of `out`, float32 (n, width).

    With an executor, its threads share the groups.
    """

    def run(rows: Ids, group: Group) -> None:
        out[rows] = graph.run(group)[: len(rows)]

    lengths = np.diff(tokens.offsets)
    empty = lengths == 0
    if empty.any():  # all alike: the zero vector, or what a head makes of it
        out[empty] = graph.run_one(tokens.ids[:0])
    groups = _groups(tokens, lengths, graph)
    if executor is None:
        for rows, group in groups:
            run(rows, group)
    else:
        for future in [executor.submit(partial(run, *each)) for each in groups]:
            future.result()


def _groups(tokens: TokenIds, lengths: Ids, graph: Graph) -> Iterator[tuple[Ids, Group]]:
    """Yield every text with tokens, the longest first: rows in the input, int64 (n,), and their blocks.

    The blocks of a group have 1, 2, 4, 8, ... texts each, as many as fit while lengths halve.
    """
    ids = tokens.ids.astype(np.int32)
    order = np.argsort(-lengths, kind="stable")
    order = order[: np.count_nonzero(lengths)]
    negative_sizes = -np.maximum(lengths[order], MIN_LENGTH)
    start = 0
    while start < len(order):
        longest = -int(negative_sizes[start])
        texts = 1 << max(0, (graph.block_tokens // longest).bit_length() - 1)
        too_short = graph.block_tokens // (2 * texts)
        stop = int(np.searchsorted(negative_sizes, -too_short))
        stop = min(stop, start + max(texts, _GROUP_TOKENS // longest // texts * texts))
        rows = order[start:stop]
        yield rows, _group(ids, tokens.offsets[rows], lengths[rows], texts, graph.padding_id)
        start = stop


def _group(ids: npt.NDArray[np.int32], starts: Ids, lengths: Ids, texts: int, padding_id: int) -> Group:
    """Lay out texts, the longest first, in blocks of `texts` or somewhat fewer."""
    blocks = -(-len(starts) // texts)
    texts = -(-len(starts) // blocks)
    sources = np.zeros((blocks, texts), dtype=np.int64)
    counts = np.zeros((blocks, texts), dtype=np.int64)
    sources.flat[: len(starts)] = starts
    counts.flat[: len(starts)] = lengths
    longest = np.maximum(counts[:, 0], MIN_LENGTH)
    edges = offsets_of(longest)
    position = np.arange(edges[-1]) - np.repeat(edges[:-1], longest)
    block = np.repeat(np.arange(blocks), longest)
    token_ids = ids.take(sources[block] + position[:, None], mode="clip")
    np.putmask(token_ids, position[:, None] >= counts[block], padding_id)
    return Group(token_ids, np.stack([edges[:-1], edges[1:]], axis=1), counts)
