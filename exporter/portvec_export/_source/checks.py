"""Refusing a model on which a lookup would fail or give NaN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from model2vec import StaticModel
from tokenizers import Tokenizer

from portvec._failures import failures_become
from portvec.errors import SourceError
from portvec_export._source.rows import chunks

# Types in which model2vec computes embeddings. It makes float32 of int8.
_TABLES = ("float16", "float32", "float64", "int8")

# Characters and a word that few vocabularies have, so that most tokenizers need their unknown token.
_RARE = f"\u6f22 \u2603 \U0002a6d6 \U0001f9ff {'x' * 300}"


def check_model(model: StaticModel, tensors: Path, tokenizer: Path) -> None:
    """Check that the table is finite and that mapping, weights and tokenizer fit it.

    Raises:
        SourceError: names the file at fault, `tensors` or `tokenizer`.
    """
    if model.embedding.dtype not in _TABLES:
        raise SourceError(
            f"{tensors}: the embeddings are {model.embedding.dtype}, expected {', '.join(_TABLES)}, because "
            "model2vec cuts means of other types to whole numbers; convert them to float32"
        )
    _check_rows(model, tensors)
    row_count, mapping, weights = len(model.embedding), model.token_mapping, model.weights
    if mapping is not None and (mapping.ndim != 1 or not np.issubdtype(mapping.dtype, np.integer)):
        raise SourceError(
            f"{tensors}: the token mapping is {mapping.dtype} {mapping.shape}, expected integers (token ids,)"
        )
    if mapping is not None and len(mapping) and (mapping.min() < 0 or mapping.max() >= row_count):
        raise SourceError(
            f"{tensors}: the token mapping points to rows {mapping.min()} to {mapping.max()}, "
            f"but the table has rows 0 to {row_count - 1}; repair the model"
        )
    ids = row_count if mapping is None else len(mapping)
    if weights is not None and (
        weights.shape != (ids,) or weights.dtype.kind not in "fiub" or not np.isfinite(weights).all()
    ):
        raise SourceError(
            f"{tensors}: expected {ids} finite token weights, got {weights.dtype} {weights.shape}; "
            "repair the model"
        )
    largest = max(model.tokenizer.get_vocab().values())
    if largest >= ids:
        raise SourceError(
            f"{tokenizer}: token ids up to {largest}, but {tensors.name} has vectors for 0 to {ids - 1}; "
            "the two files belong to different models"
        )


def check_tokenizer(tokenizer: Tokenizer, path: Path) -> dict[str, int]:
    """Check that each token has an id of its own, and that every text can be tokenized.

    Returns the id of each token.

    model2vec copies the tokenizer by way of maps from ids to tokens, in which one of two tokens with the same
    id is lost, and not the same one in every process. `tokenizers` numbers added tokens itself, so in a
    vocabulary with a gap they may get the id of another token.

    Raises:
        SourceError: two tokens have the same id, there is none, or unknown characters are an error.
    """
    vocabulary = tokenizer.get_vocab()
    if len(set(vocabulary.values())) < len(vocabulary):
        tokens: dict[int, str] = {}
        for token, token_id in vocabulary.items():
            other = tokens.setdefault(token_id, token)
            if other != token:
                raise SourceError(
                    f"{path}: the tokens {min(token, other)!r} and {max(token, other)!r} have the same id "
                    f"{token_id}; give each its own"
                )
    if not vocabulary:
        raise SourceError(f"{path}: the vocabulary is empty; is it a Model2Vec model?")
    with failures_become(
        lambda why: SourceError(
            f"{path}: the tokenizer fails on unknown characters ({why}); repair the model, for example by "
            "adding its unknown token to the vocabulary"
        )
    ):
        tokenizer.encode(_RARE, add_special_tokens=False)
    return vocabulary


def _check_rows(model: StaticModel, tensors: Path) -> None:
    values = model.embedding
    finite = np.concatenate([np.isfinite(values[part]).all(axis=1) for part in chunks(len(values))])
    if not finite.all():
        rows = ", ".join(map(str, np.flatnonzero(~finite)[:5]))
        count = (~finite).sum()
        raise SourceError(
            f"{tensors}: NaN or infinity in {count} embedding rows (first: {rows}); repair the model"
        )
