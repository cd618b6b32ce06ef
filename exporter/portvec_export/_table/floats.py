"""float32 and float16 tables: the values themselves."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from portvec._artifact import format as fmt
from portvec.errors import ExportError
from portvec_export._source.rows import chunks, convert, with_zero_row
from portvec_export._source.vectors import TokenVectors
from portvec_export._table.upcast import UpcastTable
from portvec_export._table.vocabulary import Vocabulary


class Float32Codec:
    """The source's values. Consumers look for them in the main graph."""

    variant_graph: ClassVar[str] = fmt.GRAPH

    def encode(self, vectors: TokenVectors, max_length: int | None) -> UpcastTable:
        """Return the table."""
        return _encode(vectors, np.float32)


class Float16Codec:
    """Half of float32's size. Values beyond 65,504 are refused."""

    variant_graph: ClassVar[str] = "onnx/model_fp16.onnx"

    def encode(self, vectors: TokenVectors, max_length: int | None) -> UpcastTable:
        """Return the table.

        Raises:
            ExportError: a value is too large.
        """
        return _encode(vectors, np.float16)


def _encode(vectors: TokenVectors, dtype: type[np.floating[Any]]) -> UpcastTable:
    stored = convert(vectors.rows, dtype)
    for part in chunks(len(stored)):
        if not np.isfinite(stored[part]).all():
            raise ExportError(
                f"the table has values beyond {dtype.__name__} (up to {np.finfo(dtype).max:.4g}); "
                "choose dtype='float32'"
            )
    return UpcastTable(with_zero_row(stored), Vocabulary.of(vectors), convert(stored, np.float32))
