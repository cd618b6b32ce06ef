"""A Model2Vec model, options applied and checked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from model2vec import StaticModel
from model2vec.model import DEFAULT_MAX_LENGTH
from model2vec.version import __version__ as model2vec_version

from portvec._artifact.folder import sha256_of
from portvec._artifact.layouts import HEAD, expected_files, kind_of, known_files, layout_of
from portvec._artifact.manifest import Source
from portvec._hub.client import snapshot
from portvec._hub.ids import HubId, locate
from portvec.errors import SourceError
from portvec_export._source.card import inherited
from portvec_export._source.files import SourceFiles, read_files
from portvec_export._source.head import HeadLayers, load_head
from portvec_export._source.vocabulary_quantization import clustered
from portvec_export._table.rows import chunks, widened

REFERENCE = f"model2vec {model2vec_version}"


@dataclass(frozen=True)
class SourceModel:
    """A Model2Vec model whose table is finite and fits its tokenizer.

    Attributes:
        static_model: the model to export; its `embedding` gives float32 (rows, dim), as an array or `Rows`.
        original: the model as it was before its vocabulary was clustered; else the same.
        tokenizer_path: the tokenizer.json that it was loaded with.
        head: the head of a pipeline; None for an embedding model.
        origin: where it came from, for the manifest.
        card: front matter of its card that holds for the artifact too.
    """

    static_model: StaticModel
    original: StaticModel
    tokenizer_path: Path
    head: HeadLayers | None
    origin: Source
    card: dict[str, Any]

    @property
    def vocabulary_size(self) -> int:
        """Token ids are 0 to vocabulary_size - 1."""
        mapping = self.static_model.token_mapping
        return len(self.static_model.embedding if mapping is None else mapping)

    @property
    def max_characters(self) -> int | None:
        """Characters kept before tokenization: max_length times the median token's length."""
        if self.static_model.max_length is None:
            return None
        return self.static_model.max_length * self.static_model.median_token_length

    def token_ids(self, texts: list[str]) -> list[list[int]]:
        """Return the token ids that model2vec pools for each text."""
        return self.static_model.tokenize([text[: self.max_characters] for text in texts])


def load_source(
    source: str | os.PathLike[str],
    *,
    dim: int | None,
    vocabulary_size: int | None,
    normalize: bool | None,
    max_length: int | Literal["model"] | None,
    revision: str | None,
    token: str | bool | None,
    subfolder: str | None,
) -> SourceModel:
    """Read a Model2Vec model from a folder or the Hub.

    Raises:
        SourceError: it does not exist, cannot be fetched, is no Model2Vec model, or is inconsistent.
    """
    located = locate(source, revision)
    if isinstance(located, HubId):
        fetched = snapshot(located, subfolder=subfolder, token=token)
        root, name, commit = fetched.folder, located.repo_id, fetched.commit
    else:
        root, name, commit = located, located.resolve().name, None
    folder = root / (subfolder or "")
    files = known_files(folder)
    if kind_of(files) == "artifact":
        raise SourceError(
            f"{source}: is a portvec artifact already; export the Model2Vec model it was made from"
        )
    layout = layout_of(files)
    if layout is None:
        raise SourceError(f"{folder}: not a Model2Vec model, which has {expected_files()}; check the path")

    content = read_files(folder, layout)
    stored_normalize = content.config.get("normalize", False)
    model = _static_model(
        content,
        stored_normalize if normalize is None else normalize,
        content.config.get("max_length", DEFAULT_MAX_LENGTH) if max_length == "model" else max_length,
    )
    head = load_head(folder, content.config, model.dim)
    if head and (dim not in (None, model.dim) or normalize not in (None, stored_normalize)):
        raise SourceError(
            f"{folder}: a pipeline, whose head was trained on the model's own embeddings; leave out dim and "
            "normalize"
        )
    if dim is not None and not 1 <= dim <= model.dim:
        raise SourceError(f"{folder}: dim {dim} was asked for, but the model has {model.dim} dimensions")
    _check(model, folder / layout.embeddings, folder / layout.tokenizer)
    # Clustered as it is stored and in all dimensions, as model2vec does it.
    chosen = model if vocabulary_size is None else clustered(model, vocabulary_size, str(folder))
    for each in {model, chosen}:
        _cut(each, dim)
    read = [*layout.files, *([HEAD] if head else [])]
    origin = Source(name, commit, subfolder, {path: sha256_of(folder / path) for path in read})
    return SourceModel(chosen, model, folder / layout.tokenizer, head, origin, inherited(folder, origin))


def _static_model(content: SourceFiles, normalize: bool, max_length: int | None) -> StaticModel:
    return StaticModel(
        content.table,
        content.tokenizer,
        config=content.config,
        normalize=normalize,
        weights=content.weights,
        token_mapping=content.mapping,
        max_length=max_length,
    )


def _cut(model: StaticModel, dim: int | None) -> None:
    """Keep `dim` dimensions; vectors and weights in float32, as they will be stored."""
    model.embedding = widened(model.embedding[:, :dim])
    if model.weights is not None and model.token_mapping is None:
        # A row for each id: the weights can be part of it.
        model.embedding = (model.embedding[:] * model.weights[:, None]).astype(np.float32)
        model.weights = None
    elif model.weights is not None:
        model.weights = model.weights.astype(np.float32)


def _check(model: StaticModel, tensors: Path, tokenizer: Path) -> None:
    """Refuse a model on which a lookup would fail or yield a vector that is not a number."""
    values = widened(model.embedding)
    finite = np.concatenate([np.isfinite(values[part]).all(axis=1) for part in chunks(len(values))])
    if not finite.all():
        rows = ", ".join(map(str, np.flatnonzero(~finite)[:5]))
        count = (~finite).sum()
        raise SourceError(
            f"{tensors}: NaN or infinity in {count} embedding rows (first: {rows}); repair the model"
        )
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
    if weights is not None and (weights.shape != (ids,) or not np.isfinite(weights).all()):
        raise SourceError(
            f"{tensors}: expected {ids} finite token weights, got {weights.shape}; repair the model"
        )
    largest = max(model.tokenizer.get_vocab().values())
    if largest >= ids:
        raise SourceError(
            f"{tokenizer}: token ids up to {largest}, but {tensors.name} has vectors for 0 to {ids - 1}; "
            "the two files belong to different models"
        )
