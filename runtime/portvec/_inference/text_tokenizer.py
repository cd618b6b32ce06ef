"""Token ids from an artifact's graph with text input, for portvec's own graph to pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact
from portvec._cores import use_every_core
from portvec._inference.text_graph import TextGraph
from portvec._tokenization.selection import GRAPH, choose_tokenizer
from portvec._tokenization.tokenizer import Tokenizer
from portvec._vocabulary.token_ids import Ids, TokenIds, flatten, gather, join
from portvec.errors import ArtifactError

# Characters of the texts of one run, counting padding. A graph takes a few hundred bytes for each.
_CHARACTERS: Final = 1 << 16


def open_tokenizer(
    artifact: Artifact, choice: str, *, threads: int = 1, cache: int | None = None
) -> Tokenizer:
    """Return the tokenizer asked for: a graph of the artifact, or what `choose_tokenizer` returns.

    Raises:
        OptionError: the choice is unknown.
        MissingExtraError: the accelerator asked for is not installed.
        ArtifactError: what was asked for cannot be had, or is damaged.
    """
    if choice != GRAPH:
        # A backend's own pool has a thread for each core, so it may run only if all cores are granted.
        return choose_tokenizer(artifact, choice, parallel=use_every_core(threads), cache=cache)
    kinds = artifact.manifest.text_inputs
    if not kinds:
        raise ArtifactError(
            f"{artifact.folder}: has no graph with text input, which tokenizer={GRAPH!r} needs; export the "
            "model again with 'portvec export ... --text-input', or use tokenizer='auto'"
        )
    kind = fmt.CODE_POINTS if fmt.CODE_POINTS in kinds else fmt.STRINGS
    encoder = GraphEncoder(TextGraph(artifact, kind, [fmt.INPUT_IDS]))
    return Tokenizer(encoder, artifact, file=kinds[kind], has_limits=True)


class GraphEncoder:
    """An encoder whose ids are already truncated, and without the unknown token if the model drops it."""

    name = GRAPH

    def __init__(self, graph: TextGraph, characters: int = _CHARACTERS) -> None:
        """Use `graph`, whose output is the ids, for texts of about so many `characters` at a time."""
        self._graph = graph
        self._characters = characters

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """Return the ids of whole texts."""
        if len(texts) < 2:
            return self._run(texts)
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        order = np.argsort(lengths, kind="stable")
        runs = [
            self._run([texts[row] for row in order[start:stop].tolist()])
            for start, stop in _cut(lengths[order], self._characters)
        ]
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return gather(join(runs), back)

    def _run(self, texts: Sequence[str]) -> TokenIds:
        if not texts:
            return flatten([])
        return self._graph.read_ids(self._graph.run(texts)[0], len(texts))


def _cut(lengths: Ids, characters: int) -> list[tuple[int, int]]:
    """Return the bounds of runs of texts, whose `lengths` ascend.

    The texts of a run, padded to the longest of them, have at most so many characters, unless it is one text.
    """
    runs = []
    stop = len(lengths)
    while stop:
        # The longest text decides how many there can be.
        start = max(0, stop - max(1, characters // max(1, int(lengths[stop - 1]))))
        runs.append((start, stop))
        stop = start
    return runs[::-1]
