"""What model2vec computes: recorded for every artifact, and compared with the source's own table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portvec._artifact.conformance import Conformance
from portvec._artifact.manifest import Quality
from portvec._python_docs import read_language_reference
from portvec_export._sidecars.conformance_texts import conformance_texts
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


def record(source: SourceModel, table: Table) -> Recording:
    """Run model2vec on the values that a table holds, and on the source's if those differ."""
    texts = conformance_texts(source.rules.max_length, source.rules.max_characters)
    stored = source.reference(table.dequantized)
    embeddings = stored.encode(texts).astype(np.float32)
    logits = source.head.reference(embeddings) if source.head else None
    conformance = Conformance(texts, source.token_ids(texts), embeddings, logits)
    if not source.is_clustered and same_rows(table.dequantized, source.vectors.rows):
        return Recording(conformance, None)
    paragraphs = read_language_reference()[:_PARAGRAPHS]
    quality = Quality(
        conformance=compare_directions(source.original.encode(texts), embeddings),
        paragraphs=compare_directions(
            source.original.encode(paragraphs), stored.encode(paragraphs).astype(np.float32)
        ),
    )
    return Recording(conformance, quality)
