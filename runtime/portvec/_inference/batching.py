"""Token ids to embeddings: blocks of texts of similar length through the graph, results in input order."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from portvec._inference.graphs import MIN_LENGTH, Graph, Group
from portvec._tokenization.tokenizer import Ids, TokenIds

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import numpy.typing as npt

# Tokens in one call of the graph: enough that what a call costs does not matter, few enough that threads
# share the work evenly and that its memory is small.
_GROUP_TOKENS = 1 << 15

# Handing work to another thread takes as long as pooling a thousand tokens.
_SHARED_TOKENS = 1 << 13


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
    if executor is None or len(tokens.ids) < _SHARED_TOKENS:
        for rows, group in groups:
            run(rows, group)
    else:
        for future in [executor.submit(partial(run, *each)) for each in groups]:
            future.result()


def _groups(tokens: TokenIds, lengths: Ids, graph: Graph) -> Iterator[tuple[Ids, Group]]:
    """Yield every text with tokens, the longest first: rows in the input, int64 (n,), and their blocks.

    The blocks of a group have 1, 2, 4, 8, ... texts each, as many as fit while lengths halve.
    """
    # Whoever reads as many ids as the longest text has, wherever a text starts, shall find some.
    ids = np.zeros(len(tokens.ids) + max(int(lengths.max(initial=0)), MIN_LENGTH), dtype=np.int32)
    ids[: len(tokens.ids)] = tokens.ids
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
    """Lay out texts, the longest first, in blocks of `texts` or somewhat fewer.

    Every text is cut out at the length of the longest, which numpy does fast; blocks end where theirs does.
    """
    blocks = -(-len(starts) // texts)
    texts = -(-len(starts) // blocks)
    missing = blocks * texts - len(starts)
    starts, lengths = np.pad(starts, (0, missing)), np.pad(lengths, (0, missing))
    longest = max(int(lengths[0]), MIN_LENGTH)
    rows = sliding_window_view(ids, longest)[starts]
    np.putmask(rows, np.arange(longest) >= lengths[:, None], padding_id)
    token_ids = rows.reshape(blocks, texts, longest).transpose(0, 2, 1).reshape(-1, texts)
    counts = lengths.reshape(blocks, texts)
    first = np.arange(blocks) * longest
    bounds = np.stack([first, first + np.maximum(counts[:, 0], MIN_LENGTH)], axis=1)
    return Group(token_ids, bounds, counts)
