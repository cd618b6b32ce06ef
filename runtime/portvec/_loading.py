"""From what a user names (folder or Hub id) to an artifact folder, converting at most once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from portvec._artifact import format as fmt
from portvec._artifact.folder import check_hashes, open_artifact
from portvec._artifact.layouts import expected_files, kind_of, known_files
from portvec._artifact.manifest import Manifest
from portvec._hub.ids import HubId, locate
from portvec.errors import MissingExtraError, SourceError


@dataclass(frozen=True)
class ModelOptions:
    """How to fetch a model, and how to convert it where that is needed."""

    revision: str | None = None
    token: str | bool | None = None
    subfolder: str | None = None
    force_download: bool = False
    dtype: str | None = None
    dim: int | None = None
    vocabulary_size: int | None = None
    normalize: bool | None = None
    max_length: int | Literal["model"] | None = "model"


def artifact_folder(source: str | os.PathLike[str], options: ModelOptions) -> Path:
    """Return the folder of the artifact that `source` is, holds, or converts to.

    Raises:
        SourceError: see `StaticEmbedder.load`.
    """
    located = locate(source, options.revision)
    if isinstance(located, Path):
        return _from_folder(located, options)
    return _from_hub(located, options)


def _from_folder(folder: Path, options: ModelOptions) -> Path:
    model = folder / (options.subfolder or "")
    files = known_files(model)
    kind = kind_of(files)
    if kind == "artifact":
        _check_options(open_artifact(model).manifest, options, str(model))
        return model
    if kind is None:
        raise SourceError(
            f"{model}: neither a Model2Vec model ({expected_files()}) nor a portvec artifact "
            f"({fmt.MANIFEST}); check the path"
        )
    # A model that changes on disk is converted anew: size and time of its files are in the key.
    stats = {name: (model / name).stat() for name in sorted(files)}
    state = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()]
    key = _key(model.resolve().name, str(model.resolve()), state, options)
    return _cached(key, lambda target: _convert(folder, target, options))


def _from_hub(hub_id: HubId, options: ModelOptions) -> Path:
    from portvec._hub.client import snapshot

    key = _key(hub_id.repo_id.replace("/", "--"), hub_id.repo_id, hub_id.revision or "main", options)

    def fetch(target: Path) -> None:
        fetched = snapshot(
            hub_id,
            subfolder=options.subfolder,
            token=options.token,
            force_download=options.force_download,
        )
        model = fetched.folder / (options.subfolder or "")
        if kind_of(known_files(model)) == "artifact":
            _check_options(open_artifact(model, links=True).manifest, options, str(hub_id))
            _copy_artifact(model, target)
        else:
            # The commit that was just fetched, so that the exporter finds it in the cache.
            _convert(str(replace(hub_id, revision=fetched.commit)), target, options)

    return _cached(key, fetch, refresh=options.force_download)


def _key(name: str, identity: str, state: object, options: ModelOptions) -> str:
    """Return the name of a conversion's folder: readable, and unique to source and options."""
    conversion = asdict(replace(options, revision=None, token=None, force_download=False))
    text = json.dumps([fmt.FORMAT_VERSION, identity, state, conversion], sort_keys=True)
    return f"{name}--{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _cached(key: str, make: Callable[[Path], object], *, refresh: bool = False) -> Path:
    """Return the cache folder `key`, calling `make` with its path if it does not exist."""
    from portvec._artifact.staging import cache_root, exclusive

    target = cache_root() / "models" / key
    if target.is_dir() and not refresh:
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(
            f"{target.parent}: the cache folder cannot be made ({error.strerror or error}); "
            "set PORTVEC_CACHE to a folder that can be written"
        ) from error
    # Processes that ask at the same time wait here; the first one converts.
    with exclusive(target.with_name(f"{key}.made")):
        if refresh or not target.is_dir():
            make(target)
    return target


def _convert(source: str | Path, target: Path, options: ModelOptions) -> None:
    try:
        from portvec_export import export_model
    except ImportError as error:
        raise MissingExtraError(
            f"{source}: a Model2Vec model, which must be converted once; run pip install 'portvec[export]' "
            f"here, or 'portvec export {source} -o DIR' on another machine and copy DIR here"
        ) from error
    export_model(
        source,
        target,
        dtype=options.dtype or "float32",
        dim=options.dim,
        vocabulary_size=options.vocabulary_size,
        normalize=options.normalize,
        max_length=options.max_length,
        token=options.token,
        subfolder=options.subfolder,
        overwrite=True,
    )


def _copy_artifact(folder: Path, target: Path) -> None:
    """Copy an artifact out of huggingface_hub's cache, whose links onnxruntime may refuse."""
    import shutil

    from portvec._artifact.staging import exclusive, staged_folder

    artifact = open_artifact(folder, links=True)
    check_hashes(artifact)
    with exclusive(target), staged_folder(target) as staging:
        for name in artifact.names:
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            real = (folder / name).resolve()
            try:
                os.link(real, staging / name)  # no second copy on disk where that works
            except OSError:
                shutil.copyfile(real, staging / name)


def _check_options(manifest: Manifest, options: ModelOptions, where: str) -> None:
    """Refuse options that an artifact cannot follow any more."""
    wanted = {
        "dtype": (options.dtype, manifest.dtype),
        "dim": (options.dim, manifest.dim),
        "vocabulary_size": (options.vocabulary_size, manifest.vocabulary_quantization),
        "normalize": (options.normalize, manifest.normalize),
        "max_length": (options.max_length, manifest.max_length),
    }
    for name, (value, has) in wanted.items():
        given = value != "model" if name == "max_length" else value is not None
        if given and value != has:
            raise SourceError(
                f"{where}: an artifact exported with {name} {has}, but {value} was "
                "asked for; export the Model2Vec model again with that"
            )
