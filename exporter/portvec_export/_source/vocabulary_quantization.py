"""Vocabulary quantization: model2vec's k-means over the token vectors."""

from __future__ import annotations

import copy
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
from model2vec import StaticModel, quantize_model

from portvec._messages import install
from portvec.errors import MissingExtraError, OptionError


def cluster_vocabulary(model: StaticModel, size: int, where: str) -> StaticModel:
    """Return the model whose token ids share `size` vectors, the centres of clusters.

    This is model2vec's `vocabulary_quantization=size`: rows are clustered by direction, and each token keeps
    its own norm as a weight. model2vec works in the type that the table is stored in. Where that is float16
    and a norm is beyond it, the table is converted to float32 first.

    Raises:
        OptionError: the model has no more vectors than that, or its ids share vectors already.
        MissingExtraError: scikit-learn is not installed.
    """
    vectors = len(model.embedding)
    if model.token_mapping is not None:
        raise OptionError(
            f"{where}: its {len(model.token_mapping):,} token ids share {vectors:,} vectors already; leave "
            f"out vocabulary_size={size}"
        )
    if size >= vectors:
        raise OptionError(
            f"{where}: vocabulary_size={size} was asked for, but the model has {vectors:,} vectors; choose a "
            "smaller one, or leave it out"
        )
    if find_spec("sklearn") is None:
        raise MissingExtraError(f"vocabulary_size=... needs scikit-learn; {install('vocabulary')}")
    model = copy.copy(model)
    model.embedding = np.array(model.embedding[:])
    if model.weights is None and model.embedding.dtype == np.float16:
        norms = _norms(model)
        if not (np.isfinite(norms) & (norms > 0)).all():
            model = StaticModel(
                model.embedding.astype(np.float32),
                model.tokenizer,
                config=model.config,
                normalize=model.normalize,
                language=model.language,
                max_length=model.max_length,
            )
    if model.weights is None and not np.isfinite(_norms(model)).all():
        raise OptionError(
            f"{where}: the norm of a vector is beyond {model.embedding.dtype}, so the vectors cannot be "
            f"clustered; multiply the table by a power of 2, or leave out vocabulary_size={size}"
        )
    return quantize_model(model, vocabulary_quantization=size)


def _norms(model: StaticModel) -> npt.NDArray[Any]:
    """Return the norms of the rows (rows,), as model2vec computes them."""
    with np.errstate(over="ignore"):
        return np.asarray(np.linalg.norm(model.embedding, axis=1))
