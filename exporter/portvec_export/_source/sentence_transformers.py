"""How sentence-transformers reads a static model: tokens, the modules after their mean, and prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from portvec._artifact.layouts import LAYOUTS, MODULES, Layout, module_files
from portvec._artifact.prompts import all_prompts
from portvec._messages import describe_unknown
from portvec.errors import SourceError
from portvec_export._source.files import SourceFiles
from portvec_export._source.layers import Layer, UnitLength
from portvec_export._source.module_layers import LEAST_NORM, WITHOUT_SEMANTICS, read_layers
from portvec_export._source.modules import SETTINGS, Module, read_modules, read_prompts, read_settings
from portvec_export._source.tensors import open_tensors
from portvec_export._source.vectors import TokenVectors

_KIND = "SentenceTransformer"
# No text has so many tokens, and a manifest cannot say so many.
_MOST_TOKENS = 2**31
# Vectors that nearly cancel leave a 2**24th of their norm in float32, which is still more than LEAST_NORM.
_SAFE_NORM = 1e-4


@dataclass(frozen=True)
class SentenceTransformer:
    """What sentence-transformers does with a text, besides looking up its tokens and averaging them.

    Attributes:
        normalize: whether the mean gets unit length, and that is all.
        layers: what the mean passes through otherwise.
        max_length: tokens kept of a text; None keeps all.
        prompts: texts to put before others, by name, without those that every model has.
        default_prompt_name: the one that is used unless another is asked for.
        dim: how many dimensions are kept of an embedding; None keeps all.
        files: paths of the files that this was read from, in the model's folder.
    """

    normalize: bool
    layers: tuple[Layer, ...]
    max_length: int | None
    prompts: dict[str, str]
    default_prompt_name: str | None
    dim: int | None
    files: tuple[str, ...]


def read_sentence_transformer(
    folder: Path, layout: Layout, files: SourceFiles, *, keeps_limit: bool
) -> SentenceTransformer:
    """Read what sentence-transformers finds in a folder besides the table and the tokenizer.

    Without `keeps_limit`, it does not matter how many tokens the tokenizer keeps.

    Raises:
        SourceError: a file is missing or damaged, or the model does what an artifact cannot express.
    """
    if not (folder / MODULES).is_file():
        raise SourceError(
            f"{folder}: has no {MODULES}, without which sentence-transformers does not read a static model; "
            "leave out semantics='sentence-transformers'"
        )
    modules = read_modules(folder, layout)
    _check_names(folder / MODULES, modules)
    _check_dtype(folder / layout.embeddings, files)
    read = [MODULES, *sorted(module_files(folder))]
    if layout == LAYOUTS[0]:  # whose configuration is that of model2vec
        read.append(SETTINGS)
    settings = read_settings(folder, layout, files.config)
    _check_kind(folder / SETTINGS, settings)
    layers = read_layers(folder, modules, files.table.shape[1])
    is_unit = layers == (UnitLength(LEAST_NORM),)
    prompts = read_prompts(folder / SETTINGS, settings)
    return SentenceTransformer(
        normalize=is_unit,
        layers=() if is_unit else layers,
        max_length=_read_limit(folder / layout.tokenizer, files.truncation) if keeps_limit else None,
        prompts={name: text for name, text in prompts.items() if all_prompts({}).get(name) != text},
        default_prompt_name=_read_default(folder / SETTINGS, settings, prompts),
        dim=_read_dim(folder / SETTINGS, settings, files.table.shape[1], layers),
        files=tuple(name for name in read if (folder / name).is_file()),
    )


def own_table(folder: Path, layout: Layout, files: SourceFiles) -> SourceFiles:
    """Return files with the table as sentence-transformers reads it.

    It applies the mapping and the weights beside a table of Model2Vec, and ignores those beside its own.

    Raises:
        SourceError: it reads another table than model2vec.
    """
    if layout.tensor != LAYOUTS[0].tensor:
        return replace(files, mapping=None, weights=None)
    path = folder / layout.embeddings
    own = LAYOUTS[1].tensor
    if own in open_tensors(path).names:
        raise SourceError(
            f"{path}: has the tensors {layout.tensor!r} and {own!r}, of which sentence-transformers reads "
            "the second and model2vec the first; remove one of them"
        )
    return files


def needs_least_norm(vectors: TokenVectors) -> bool:
    """Return whether means of vectors may be so short that Normalize does not give them unit length.

    If not, Normalize does what a Model2Vec model that normalizes does.
    """
    norms = vectors.norms
    return bool(((norms > 0) & (norms < _SAFE_NORM)).any())


def _check_kind(path: Path, settings: Mapping[str, Any]) -> None:
    kind = settings.get("model_type", _KIND)
    if kind != _KIND:
        raise SourceError(f"{path}: model_type is {kind!r}, expected {_KIND!r}; {WITHOUT_SEMANTICS}")


def _check_names(path: Path, modules: list[Module]) -> None:
    names = [module.name for module in modules]
    for name in names:
        if names.count(name) > 1:
            raise SourceError(
                f"{path}: {names.count(name)} modules have the name {name!r}, of which sentence-transformers "
                "keeps the last; give each its own"
            )


def _check_dtype(path: Path, files: SourceFiles) -> None:
    if files.table.dtype.kind != "f" and files.weights is None:
        raise SourceError(
            f"{path}: the embeddings are {files.table.dtype}, which sentence-transformers does not load; "
            f"{WITHOUT_SEMANTICS}"
        )


def _read_limit(path: Path, truncation: Mapping[str, Any] | None) -> int | None:
    """Return how many tokens the tokenizer at `path` keeps."""
    if truncation is None:
        return None
    limit, direction, strategy = (truncation[name] for name in ("max_length", "direction", "strategy"))
    if direction != "right":
        raise SourceError(
            f"{path}: truncation keeps the last tokens (direction {direction!r}), and an artifact the first; "
            "correct the file, or pass max_length=None or a number to keep all or the first tokens"
        )
    if strategy == "only_second" or not truncation["stride"] < limit:
        raise SourceError(
            f"{path}: the tokenizer fails on texts of more than {limit} tokens (strategy {strategy!r}, "
            f"stride {truncation['stride']}); correct the file, or pass max_length=None or a number"
        )
    return limit if limit < _MOST_TOKENS else None


def _read_default(path: Path, settings: Mapping[str, Any], prompts: Mapping[str, str]) -> str | None:
    name = settings.get("default_prompt_name")
    known = all_prompts(prompts)
    if name is None or name in list(known):  # a list, since the value may be anything
        return name
    raise SourceError(f"{path}: {describe_unknown('default_prompt_name', name, known)}")


def _read_dim(path: Path, settings: Mapping[str, Any], width: int, layers: Sequence[Layer]) -> int | None:
    """Return the number of dimensions that are kept of embeddings, which are `width` long without layers."""
    dim = settings.get("truncate_dim")
    if dim is None:
        return None
    if not isinstance(dim, int) or isinstance(dim, bool) or dim < 1:
        raise SourceError(
            f"{path}: truncate_dim is {dim!r}, expected a whole number from 1; correct the file"
        )
    if layers:
        raise SourceError(
            f"{path}: truncate_dim is {dim}, which cuts what the modules give, and an artifact cannot "
            "express that; remove it, and cut the embeddings yourself"
        )
    return min(dim, width)
