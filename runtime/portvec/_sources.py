"""From what a user names (folder or Hub id) to an artifact folder, converting at most once."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from portvec import _format as fmt
from portvec._artifact import check_hashes, open_artifact
from portvec._layout import expected_files, kind_of, known_files
from portvec._manifest import Manifest
from portvec.errors import MissingExtraError, SourceError

# What an artifact in a folder does without is imported where it is used.
if TYPE_CHECKING:
    from portvec._hub import HubId

# As huggingface_hub allows: letters, digits, -, _ and . on both sides of one slash.
_HUB_ID = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[\w.-]*[\w-])(@(?P<revision>.+))?", re.ASCII)


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


def locate(source: str | os.PathLike[str], revision: str | None = None) -> Path | HubId:
    """Return the existing folder, or else the Hub id, that `source` names.

    What looks like a path is never looked up on the Hub: anything but `owner/name`, a Path object,
    and `owner/name` where a folder `owner` exists here. `owner/name@revision` always is a Hub id.

    Raises:
        SourceError: it looks like a path and no folder is there.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise SourceError(f"{source}: is a file, expected a model folder or a Hub id owner/name")
    if not isinstance(source, str) or not _HUB_ID.fullmatch(source):
        raise SourceError(
            f"{source}: no such folder; expected an existing model folder or a Hub id owner/name"
        )
    hub_id = parse_hub_id(source, revision)
    if hub_id.revision is None and path.parent.is_dir():
        raise SourceError(
            f"{source}: no such folder, though {path.parent} exists here; check the path, "
            f"or write {source}@main for the Hub's model"
        )
    return hub_id


def parse_hub_id(source: str, revision: str | None = None) -> HubId:
    """Return the Hub id in `owner/name` or `owner/name@revision`.

    Raises:
        SourceError: it is neither, or `revision` contradicts it.
    """
    match = _HUB_ID.fullmatch(source)
    if match is None:
        raise SourceError(f"{source}: not a Hub id; expected owner/name or owner/name@revision")
    if match["revision"] and revision and match["revision"] != revision:
        raise SourceError(
            f"{source}: revision {match['revision']!r} in the id, but {revision!r} was given as well; "
            "give one of them"
        )
    from portvec._hub import HubId

    return HubId(match["repo"], match["revision"] or revision)


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
    from portvec._hub import snapshot

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
    from portvec._staging import cache_root, exclusive

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

    from portvec._staging import exclusive, staged_folder

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
