"""Inputs of the graph as consumers other than the runtime make them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer


def consumer_inputs(folder: Path, texts: Sequence[str]) -> dict[str, np.ndarray]:
    """Tokenize as consumers do: with the stored post-processor, padding and truncation."""
    encodings = Tokenizer.from_file(str(folder / "tokenizer.json")).encode_batch(texts)
    return {
        "input_ids": np.array([encoding.ids for encoding in encodings]),
        "attention_mask": np.array([encoding.attention_mask for encoding in encodings]),
    }
