"""From what a user names, a folder or a Hub id, to an open artifact. Models are converted at most once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from portvec._artifact import format as fmt
from portvec._artifact.dtypes import DTYPES
from portvec._artifact.fingerprint import WHOLE, fingerprint
from portvec._artifact.folder import Artifact, artifact_appears, check_hashes, open_artifact
from portvec._artifact.layouts import check_legacy_folder, expected_files, kind_of, known_files, module_files
from portvec._artifact.manifest import Manifest
from portvec._artifact.paths import printable
from portvec._hub.ids import HubId, locate
from portvec._messages import describe_unknown, install, no_such_folder, not_converted
from portvec._options import ModelOptions
from portvec._version import __version__
from portvec.errors import ArtifactError, MissingExtraError, OptionError, PortvecError, SourceError

# Modules that an artifact in a folder does not need are imported where they are used.

_JSON = 1 << 25  # bytes; JSON files of up to this size, such as any tokenizer.json, are hashed whole
_NAME = 50  # characters of a model's name in that of its conversion, which may have 255 bytes


def load_artifact(
    source: str | os.PathLike[str],
    options: ModelOptions,
    *,
    convert: bool = True,
    damage: str | None = None,
) -> Artifact:
    """Return the artifact that `source` is, contains, or converts to, opened and checked.

    Without `convert`, a Model2Vec model must have been converted before. With `damage`, which says what is
    wrong with the conversion in the cache, convert again.

    Raises:
        SourceError: the source does not exist, cannot be fetched, is not a Model2Vec model, or is an artifact
            that was exported with other options.
        MissingExtraError: the source must be converted, and the extra `export` is not installed.
        ExportError: what was fetched or converted cannot be written to the cache.
        OptionError: the dtype is unknown.
        ArtifactError: the artifact is damaged.
    """
    if options.dtype not in (None, *DTYPES):
        raise OptionError(describe_unknown("dtype", options.dtype, DTYPES))
    located = locate(source, options.revision, options.subfolder)
    if isinstance(located, Path):
        return _load_folder(located, options, convert, damage)
    return _load_repository(located, options, convert, damage)


def is_damaged_conversion(artifact: Artifact) -> bool:
    """Return whether an artifact is in the cache, and a file differs from what was written there."""
    from portvec._artifact.cache import conversions

    if artifact.folder.parent != conversions():
        return False
    try:
        check_hashes(artifact)
    except (ArtifactError, OSError):
        return True
    return False


def _load_folder(folder: Path, options: ModelOptions, convert: bool, damage: str | None) -> Artifact:
    model = folder / (options.subfolder or "")
    files = known_files(model)
    kind = kind_of(files)
    if kind == "artifact" or (kind is None and artifact_appears(model)):
        artifact = open_artifact(model)
        _check_options(artifact.manifest, options, str(model))
        return artifact
    if kind is None and not model.is_dir():
        raise SourceError(no_such_folder(model, "model folder"))
    if kind is None:
        check_legacy_folder(model)
        raise SourceError(
            f"{model}: neither a Model2Vec model ({expected_files()}) nor a portvec artifact "
            f"({fmt.MANIFEST}); check the path"
        )
    files |= known_files(model, module_files(model))
    key = _cache_key(model.resolve().name, str(model.resolve()), _state(model, files), options)

    def make(target: Path) -> Artifact:
        if not convert:
            raise SourceError(not_converted(folder, options.subfolder))
        return _convert(folder, target, options)

    return _load_cached(key, make, damage)


def _state(model: Path, files: set[str]) -> list[object]:
    """Return what is different after a model has changed, so that it is converted again."""
    try:
        return [
            (name, *fingerprint(model / name, whole=_JSON if name.endswith(".json") else WHOLE))
            for name in sorted(files)
        ]
    except OSError as error:
        raise SourceError(
            f"{error.filename or model}: cannot be read ({error.strerror or error}); check its permissions"
        ) from error


def _load_repository(hub_id: HubId, options: ModelOptions, convert: bool, damage: str | None) -> Artifact:
    from portvec._hub.client import fetch_snapshot

    key = _cache_key(hub_id.repo_id.replace("/", "--"), hub_id.repo_id, hub_id.revision or "main", options)

    def fetch(target: Path) -> Artifact:
        fetched = fetch_snapshot(
            hub_id,
            token=options.token,
            force_download=options.force_download,
            convertible=convert,
            modules=options.semantics == fmt.SENTENCE_TRANSFORMERS,
        )
        if kind_of(known_files(fetched.folder)) == "artifact":
            artifact = _open_snapshot(fetched.folder, hub_id)
            _check_options(artifact.manifest, options, str(hub_id))
            return _copy(artifact, target)
        # Name the commit that was just fetched, so that the exporter finds it in huggingface_hub's cache.
        return _convert(replace(hub_id, revision=fetched.commit).name, target, options)

    return _load_cached(key, fetch, damage, refresh=options.force_download)


def _open_snapshot(folder: Path, hub_id: HubId) -> Artifact:
    """Open an artifact in huggingface_hub's cache, which downloads a file that it has never again."""
    try:
        artifact = open_artifact(folder, links=True)
        check_hashes(artifact)
    except ArtifactError as error:
        repository = next(each for each in folder.parents if each.name == "snapshots").parent
        raise ArtifactError(
            f"{hub_id}: {str(error).split(';')[0]}; delete {repository} to download it again, or tell the "
            "owner of the repository if that does not help"
        ) from error
    return artifact


def _cache_key(name: str, identity: str, state: object, options: ModelOptions) -> str:
    """Return the name of a conversion's folder: readable, and unique to what decides the conversion.

    That is the source, the options, and the version of portvec, which also bounds the version of model2vec.
    """
    made_with = [__version__, options.subfolder, options.conversion, options.semantics]
    text = json.dumps([fmt.FORMAT_VERSION, identity, state, made_with], sort_keys=True)
    return f"{printable(name)[:_NAME]}--{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _load_cached(
    key: str, make: Callable[[Path], Artifact], damage: str | None, *, refresh: bool = False
) -> Artifact:
    """Return the artifact in the cache folder `key`.

    If there is none, or it has `damage`, call `make` with the folder's path.
    """
    from portvec._artifact.cache import conversions, locked, remove_half_deleted

    target = conversions() / key
    remake = refresh or damage is not None
    if not remake and target.is_dir():
        try:
            return open_artifact(target)
        except ArtifactError as error:
            damage = str(error)
    with locked(key):
        if not remake and (target / fmt.MANIFEST).is_file():  # another process was faster
            with suppress(ArtifactError):
                return open_artifact(target)
        remove_half_deleted(target)
        try:
            return make(target)
        except PortvecError as error:
            if damage is None:
                raise
            raise ArtifactError(
                f"{damage.split(';')[0]}, and the conversion cannot be made again ({error})"
            ) from error


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
        token=options.token,
        subfolder=options.subfolder,
        semantics=options.semantics,
        overwrite=True,
        **options.conversion,
    )
    return _export.export_artifact(source, target, export_options)


def _copy(artifact: Artifact, target: Path) -> Artifact:
    """Copy a checked artifact out of huggingface_hub's cache, whose links onnxruntime may refuse."""
    import shutil

    from portvec._artifact.staging import new_folder

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
    if manifest.layers and options.normalize is not None:
        raise SourceError(f"{where}: an artifact with layers after the mean; leave out normalize=...")
    if options.semantics not in (None, manifest.semantics):
        raise SourceError(
            f"{where}: an artifact exported with semantics {manifest.semantics!r}, but {options.semantics!r} "
            f"was asked for; export the model again with semantics={options.semantics!r}"
        )
    for each in options.conversion_fields():
        value, has = getattr(options, each.name), getattr(manifest, each.metadata["manifest"])
        if value not in (each.default, has):
            raise SourceError(
                f"{where}: an artifact exported with {each.name} {has}, but {value} was asked for; "
                f"export the Model2Vec model again with {each.name}={value!r}"
            )
