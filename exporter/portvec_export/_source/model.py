"""A Model2Vec model, read, checked, and with the options of an export applied."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from model2vec import StaticModel
from model2vec.version import __version__ as model2vec_version

from portvec._artifact import format as fmt
from portvec._artifact.layouts import HEAD, MODULES
from portvec._artifact.manifest import Source
from portvec._failures import failures_become
from portvec.errors import OptionError, SourceError
from portvec_export._options import ExportOptions
from portvec_export._source.card import read_front_matter
from portvec_export._source.checks import check_model
from portvec_export._source.files import SourceFiles, parse_object, read_files
from portvec_export._source.head import HeadLayers, load_head, projector_layers
from portvec_export._source.layers import Layer, UnitLength, apply_layers, width_after
from portvec_export._source.location import find_model
from portvec_export._source.magnitudes import check_layers, check_vectors, needs_means
from portvec_export._source.module_layers import LEAST_NORM
from portvec_export._source.modules import check_plain
from portvec_export._source.rows import RowReader
from portvec_export._source.rules import Rules
from portvec_export._source.sentence_transformers import (
    SentenceTransformer,
    needs_least_norm,
    own_table,
    read_sentence_transformer,
)
from portvec_export._source.vectors import TokenVectors, vectors_of, with_vectors
from portvec_export._source.vocabulary_quantization import cluster_vocabulary


@dataclass(frozen=True)
class SourceModel:
    """A Model2Vec model whose table is finite and fits its tokenizer.

    Attributes:
        vectors: the vectors to export.
        original: model2vec's model with the source's own vectors, cut to the exported dimensions.
        rules: how texts are truncated, and what happens to their mean.
        head: the head of a pipeline; None for an embedding model.
        tokenizer_json: tokenizer.json.
        tokenizer_path: where that is.
        origin: where it came from, for the manifest.
        front_matter: the part of its card's front matter that holds for the artifact too.
        is_clustered: whether the vectors to export are shared by token ids that had one each.
    """

    vectors: TokenVectors
    original: StaticModel
    rules: Rules
    head: HeadLayers | None
    tokenizer_json: bytes
    tokenizer_path: Path
    origin: Source
    front_matter: dict[str, Any]
    is_clustered: bool

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return width_after(self.rules.layers, self.vectors.dim)

    def read_tokenizer_json(self) -> dict[str, Any]:
        """Return tokenizer.json, parsed, which takes several times its size in memory.

        Raises:
            SourceError: it is not JSON.
        """
        return parse_object(self.tokenizer_json, self.tokenizer_path)

    def reference(self, rows: RowReader) -> StaticModel:
        """Return model2vec's model with these rows in place of those to export."""
        return with_vectors(self.original, replace(self.vectors, rows=rows))

    def token_ids(self, texts: list[str]) -> list[list[int]]:
        """Return the token ids that model2vec pools for each text.

        Raises:
            SourceError: the tokenizer fails.
        """
        with _blame(self.tokenizer_path):
            return self.original.tokenize([text[: self.rules.max_characters] for text in texts])

    def embed(self, texts: list[str], model: StaticModel) -> npt.NDArray[Any]:
        """Return the embeddings (n, dim) that model2vec gives with `model`, which has this tokenizer.

        If there are layers, these are what the layers make of them.

        Raises:
            SourceError: the tokenizer fails.
        """
        with _blame(self.tokenizer_path):
            means = model.encode(texts)
        layers = self.rules.layers
        return apply_layers(layers, means.astype(np.float32)) if layers else means


def load_source(source: str | os.PathLike[str], options: ExportOptions) -> SourceModel:
    """Read a Model2Vec model from a folder or the Hub.

    Raises:
        SourceError: it does not exist, cannot be fetched, is not a Model2Vec model, or is inconsistent.
        OptionError: the model cannot follow an option.
        MissingExtraError: a vocabulary size is given, and scikit-learn is not installed.
    """
    location = find_model(source, options)
    folder, layout = location.folder, location.layout
    files = read_files(folder, layout)
    theirs = None
    if options.semantics == fmt.SENTENCE_TRANSFORMERS:
        files = own_table(folder, layout, files)
        theirs = read_sentence_transformer(folder, layout, files, keeps_limit=options.max_length == "model")
        options = replace(options, dim=options.dim or theirs.dim)
    if options.semantics is None:
        check_plain(folder, layout, files.config, may_normalize=options.normalize is not None)
    with _blame(folder / layout.tokenizer):
        stored = _static_model(files, theirs, options)
    # sentence-transformers does not know of heads.
    head = None if theirs else load_head(folder, files.config, layout.config, stored.dim)
    layers: tuple[Layer, ...] = theirs.layers if theirs else ()
    if options.semantics == "projector":
        layers, head = projector_layers(head, folder), None
    _check_options(options, files, head, layers, where=str(folder))
    if layers:
        options = replace(options, dim=None)  # it is that of the embeddings, and not of the table
    check_model(stored, folder / layout.embeddings, folder / layout.tokenizer)
    original = _vectors(stored, options.dim, folder / layout.embeddings)
    vectors = _cluster(stored, options, folder / layout.embeddings) or original
    if theirs and stored.normalize and needs_least_norm(vectors):
        stored.config.pop("normalize")  # model2vec would warn that it changes
        stored.normalize, layers = False, (UnitLength(LEAST_NORM),)
    check_layers(
        head.as_layers() if head else layers, stored, vectors, folder / (MODULES if theirs else HEAD)
    )
    rules = _rules(stored, theirs)
    origin = location.origin(theirs.files if theirs else ())
    return SourceModel(
        vectors=vectors,
        original=with_vectors(stored, original),
        rules=replace(rules, normalizes_means=rules.normalize and needs_means(vectors, rules), layers=layers),
        head=head,
        tokenizer_json=files.tokenizer_json,
        tokenizer_path=folder / layout.tokenizer,
        origin=origin,
        front_matter=read_front_matter(folder, origin),
        is_clustered=options.vocabulary_size is not None,
    )


def _static_model(
    files: SourceFiles, theirs: SentenceTransformer | None, options: ExportOptions
) -> StaticModel:
    """Return the stored model under its rules, or those that sentence-transformers finds, and the options.

    model2vec computes what sentence-transformers does once no token is unknown to it and no limit of
    characters is in reach.
    """
    own = theirs or files
    normalize, max_length = options.normalize, options.max_length
    model = StaticModel(
        cast(Any, files.table),  # model2vec only indexes it by rows
        cast(Any, files.tokenizer),
        config={} if theirs else files.config,
        normalize=own.normalize if normalize is None else normalize,
        weights=files.weights,
        token_mapping=files.mapping,
        max_length=own.max_length if max_length == "model" else max_length,
    )
    if theirs:
        model.unk_token_id = None
        model.median_token_length = sys.maxsize
    return model


def _blame(tokenizer: Path) -> AbstractContextManager[None]:
    """Have failures of model2vec or `tokenizers` name the tokenizer, the one file that they have to read."""
    return failures_become(
        lambda why: SourceError(f"{tokenizer}: model2vec fails with this tokenizer ({why}); repair the model")
    )


def _check_options(
    options: ExportOptions,
    files: SourceFiles,
    head: HeadLayers | None,
    layers: tuple[Layer, ...],
    where: str,
) -> None:
    """Refuse options that the model cannot follow.

    Raises:
        OptionError: an option does not fit the model.
    """
    dim, has = options.dim, files.table.shape[1]
    if head and (dim not in (None, has) or options.normalize not in (None, files.normalize)):
        raise OptionError(
            f"{where}: a pipeline, whose head was trained on the model's own embeddings; leave out dim=... "
            "and normalize=..."
        )
    if layers:
        if dim not in (None, width_after(layers, has)) or options.normalize is not None:
            raise OptionError(
                f"{where}: has layers after the mean, which were trained on the model's own means; leave out "
                "dim=... and normalize=..."
            )
    elif dim is not None and dim > has:
        raise OptionError(
            f"{where}: dim={dim} was asked for, but the model has {has} dimensions; choose at most {has}"
        )


def _vectors(model: StaticModel, dim: int | None, tensors: Path) -> TokenVectors:
    """Return a model's vectors, checked."""
    vectors = vectors_of(model, dim)
    check_vectors(model, vectors, tensors)
    return vectors


def _cluster(model: StaticModel, options: ExportOptions, tensors: Path) -> TokenVectors | None:
    """Return shared vectors if they are asked for.

    As in model2vec, those of the source are clustered in the type that is stored and in all dimensions.
    """
    if options.vocabulary_size is None:
        return None
    clustered = cluster_vocabulary(model, options.vocabulary_size, str(tensors.parent))
    return _vectors(clustered, options.dim, tensors)


def _rules(model: StaticModel, theirs: SentenceTransformer | None) -> Rules:
    """Return a model's rules. model2vec keeps max_length x median token length characters."""
    length = model.max_length
    return Rules(
        normalize=model.normalize,
        max_length=length,
        max_characters=None if length is None or theirs else length * model.median_token_length,
        unk_id=model.unk_token_id,
        prompts=theirs.prompts if theirs else {},
        default_prompt_name=theirs.default_prompt_name if theirs else None,
        reference=fmt.SENTENCE_TRANSFORMERS if theirs else f"model2vec {model2vec_version}",
    )
