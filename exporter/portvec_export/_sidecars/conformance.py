"""What model2vec and a model's layers compute: recorded, and compared with the source's own table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from portvec._artifact.conformance import Conformance
from portvec._artifact.manifest import Quality
from portvec._python_docs import read_language_reference
from portvec_export._sidecars.conformance_texts import list_conformance_texts
from portvec_export._sidecars.quality import compare_directions
from portvec_export._source.model import SourceModel
from portvec_export._source.rows import same_rows
from portvec_export._table.table import Table

_PARAGRAPHS = 2000


@dataclass(frozen=True)
class Recording:
    """What model2vec gives for the values of a table.

    Attributes:
        conformance: the recorded texts with their ids and vectors.
        quality: what the table costs; None if it holds the source's values exactly.
    """

    conformance: Conformance
    quality: Quality | None


class Recorder:
    """Runs model2vec on a source once, and on each table that is made from it."""

    def __init__(self, source: SourceModel) -> None:
        self._source = source
        self._texts = list_conformance_texts(source.rules.max_length, source.rules.max_characters)
        self._token_ids = source.token_ids(self._texts)

    def record(self, table: Table) -> Recording:
        """Run model2vec on the values that a table holds, and compare if they are not the source's."""
        source = self._source
        stored = source.reference(table.dequantized)
        embeddings = source.embed(self._texts, stored).astype(np.float32)
        logits = source.head.reference(embeddings) if source.head else None
        conformance = Conformance(self._texts, self._token_ids, embeddings, logits)
        if not source.is_clustered and same_rows(table.dequantized, source.vectors.rows):
            return Recording(conformance, None)
        paragraphs, original, original_paragraphs = self._original
        return Recording(
            conformance,
            Quality(
                conformance=compare_directions(original, embeddings),
                paragraphs=compare_directions(
                    original_paragraphs, source.embed(paragraphs, stored).astype(np.float32)
                ),
            ),
        )

    @cached_property
    def _original(self) -> tuple[list[str], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Paragraphs, and the source's own embeddings of the recorded texts and of the paragraphs."""
        paragraphs = read_language_reference()[:_PARAGRAPHS]
        texts, original = self._texts, self._source.original
        return paragraphs, self._source.embed(texts, original), self._source.embed(paragraphs, original)
