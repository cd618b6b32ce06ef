"""Arrow: a record batch in, the same with a column of embeddings out.

The adapters of engines work batch by batch with `embed_batch`. Use it for an engine that has no adapter.
"""

from __future__ import annotations

from portvec.integrations._common import missing_extra

try:
    from portvec._bulk.arrow import VectorType, embed_batch
except ImportError as error:
    raise missing_extra("bulk", "pyarrow", error, module="arrow") from error

__all__ = ["VectorType", "embed_batch"]
