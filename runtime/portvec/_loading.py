"""From what a user names, a folder or a Hub id, to an open artifact. Models are converted at most once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact, check_hashes, open_artifact
from portvec._artifact.layouts import expected_files, kind_of, known_files
from portvec._artifact.manifest import Manifest
from portvec._hub.ids import HubId, locate
from portvec._messages import install
from portvec._options import ModelOptions
from portvec.errors import ExportError, MissingExtraError, SourceError

# Modules that an artifact in a folder does not need are imported where they are used.


def load_artifact(source: str | os.PathLike[str], options: ModelOptions) -> Artifact:
    """Return the artifact that `source` is, contains, or converts to, opened and checked.

    Raises:
        SourceError: the source does not exist, cannot be fetched, is not a Model2Vec model, or is an artifact
            that was exported with other options.
        MissingExtraError: the source must be converted, and the extra `export` is not installed.
        ExportError: what was fetched or converted cannot be written to the cache.
        ArtifactError: the artifact is damaged.
    """
    located = locate(source, options.revision, options.subfolder)
    if isinstance(located, Path):
        return _load_folder(located, options)
    return _load_repository(located, options)


def _load_folder(folder: Path, options: ModelOptions) -> Artifact:
    model = folder / (options.subfolder or "")
    files = known_files(model)
    kind = kind_of(files)
    if kind == "artifact":
        artifact = open_artifact(model)
        _check_options(artifact.manifest, options, str(model))
        return artifact
    if kind is None:
        raise SourceError(
            f"{model}: neither a Model2Vec model ({expected_files()}) nor a portvec artifact "
            f"({fmt.MANIFEST}); check the path"
        )
    # The sizes and times of the files are part of the key, so that a model that changes is converted again.
    stats = {name: (model / name).stat() for name in sorted(files)}
    state = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()]
    key = _cache_key(model.resolve().name, str(model.resolve()), state, options)
    return _load_cached(key, lambda target: _convert(folder, target, options))


def _load_repository(hub_id: HubId, options: ModelOptions) -> Artifact:
    from portvec._hub.client import fetch_snapshot

    key = _cache_key(hub_id.repo_id.replace("/", "--"), hub_id.repo_id, hub_id.revision or "main", options)

    def fetch(target: Path) -> Artifact:
        fetched = fetch_snapshot(hub_id, token=options.token, force_download=options.force_download)
        if kind_of(known_files(fetched.folder)) == "artifact":
            artifact = open_artifact(fetched.folder, links=True)
            _check_options(artifact.manifest, options, str(hub_id))
            return _copy(artifact, target)
        # Name the commit that was just fetched, so that the exporter finds it in huggingface_hub's cache.
        return _convert(replace(hub_id, revision=fetched.commit).name, target, options)

    return _load_cached(key, fetch, refresh=options.force_download)


def _cache_key(name: str, identity: str, state: object, options: ModelOptions) -> str:
    """Return the name of a conversion's folder: readable, and unique to source and options."""
    made_with = [options.subfolder, options.conversion]
    text = json.dumps([fmt.FORMAT_VERSION, identity, state, made_with], sort_keys=True)
    return f"{name}--{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _load_cached(key: str, make: Callable[[Path], Artifact], *, refresh: bool = False) -> Artifact:
    """Return the artifact in the cache folder `key`. If there is none, call `make` with the folder's path."""
    from portvec._artifact.staging import cache_root, exclusive

    target = cache_root() / "models" / key
    if target.is_dir() and not refresh:
        return open_artifact(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(
            f"{target.parent}: the cache folder cannot be created ({error.strerror or error}); "
            "set PORTVEC_CACHE to a folder that can be written"
        ) from error
    # Processes that need the same model wait here, and the first one converts it.
    with exclusive(target.with_name(f"{key}.made")):
        if refresh or not target.is_dir():
            return make(target)
    return open_artifact(target)


def _convert(source: str | Path, target: Path, options: ModelOptions) -> Artifact:
    """Convert a Model2Vec model. This is the only bridge from loading to the exporter."""
    try:
        from portvec_export import _export, _options
    except ImportError as error:
        raise MissingExtraError(
            f"{source}: a Model2Vec model, which must be converted once; {install('export')} here, or "
            f"'portvec export {source} -o DIR' on another machine and copy DIR here"
        ) from error
    export_options = _options.ExportOptions(
        token=options.token, subfolder=options.subfolder, overwrite=True, **options.conversion
    )
    return _export.export_artifact(source, target, export_options)


def _copy(artifact: Artifact, target: Path) -> Artifact:
    """Copy an artifact out of huggingface_hub's cache, whose links onnxruntime may refuse."""
    import shutil

    from portvec._artifact.staging import new_folder

    check_hashes(artifact)
    with new_folder(target, overwrite=True) as staging:
        for name in artifact.list_files():
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            real = artifact.path(name).resolve()
            try:
                os.link(real, staging / name)  # saves a second copy on the disk where it works
            except OSError:
                shutil.copyfile(real, staging / name)
    return open_artifact(target)


def _check_options(manifest: Manifest, options: ModelOptions, where: str) -> None:
    """Refuse options that an artifact can no longer follow."""
    for each in options.conversion_fields():
        value, has = getattr(options, each.name), getattr(manifest, each.metadata["manifest"])
        if value not in (each.default, has):
            raise SourceError(
                f"{where}: an artifact exported with {each.name} {has}, but {value} was asked for; "
                f"export the Model2Vec model again with {each.name}={value!r}"
            )
