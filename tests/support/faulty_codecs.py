"""Codecs that fail, for tests that put one into the registry of dtypes."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from typing import ClassVar

import numpy as np

from portvec_export._source.rows import Rows
from portvec_export._source.vectors import TokenVectors
from portvec_export._table.floats import Float32Codec
from portvec_export._table.upcast import UpcastTable


class LyingCodec:
    """Says that it stores other values than it does."""

    variant_graph: ClassVar[str] = "onnx/model_lying.onnx"

    def encode(self, vectors: TokenVectors, max_length: int | None) -> UpcastTable:
        table = Float32Codec().encode(vectors, max_length)
        factors = np.linspace(0.8, 1.2, vectors.dim, dtype=np.float32)
        others = Rows(
            (len(vectors.rows), vectors.dim), "float32", lambda index: vectors.rows[index] * factors
        )
        return replace(table, dequantized=others)


class FullDiskCodec:
    """Runs out of disk."""

    variant_graph: ClassVar[str] = "onnx/model_full.onnx"

    def encode(self, vectors: TokenVectors, max_length: int | None) -> UpcastTable:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
