"""Models on the Hub, through huggingface_hub: its cache, token and offline switch."""

from __future__ import annotations

import glob
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portvec._artifact import format as fmt
from portvec._artifact.files import MANIFEST_LIMIT, parse_json, read_file
from portvec._artifact.layouts import (
    HEAD,
    MODULES,
    Kind,
    check_legacy_files,
    expected_files,
    kind_of,
    known_files,
    layout_of,
    model2vec_files,
    module_files,
    needed_module_files,
)
from portvec._hub.failures import explain
from portvec._hub.ids import HubId
from portvec._messages import not_converted
from portvec.errors import HubError, SourceError


@dataclass(frozen=True)
class Snapshot:
    """A model's files of one commit in huggingface_hub's cache.

    Attributes:
        folder: path of the folder with the model's files.
        commit: hash of the commit.
    """

    folder: Path
    commit: str


@dataclass(frozen=True)
class Listing:
    """The files of one commit of a repository, or of one folder in it.

    Attributes:
        commit: hash of the commit.
        files: paths relative to the folder, with slashes.
        private: whether the repository is private.
    """

    commit: str
    files: frozenset[str]
    private: bool

    @property
    def kind(self) -> Kind | None:
        """Which kind of model the files make."""
        return kind_of(self.files)


def list_files(hub_id: HubId, *, token: str | bool | None = None) -> Listing:
    """Ask the Hub which files a repository, or its subfolder, has.

    Raises:
        HubError: the repository, revision or network cannot be reached.
    """
    from huggingface_hub import HfApi

    try:
        info = HfApi().model_info(hub_id.repo_id, revision=hub_id.revision, token=token)
    except Exception as error:
        raise explain(error, hub_id) from error
    names = (sibling.rfilename for sibling in info.siblings or [])
    files = frozenset(name.removeprefix(hub_id.prefix) for name in names if name.startswith(hub_id.prefix))
    return Listing(str(info.sha), files, bool(info.private))


def fetch_snapshot(
    hub_id: HubId,
    *,
    token: str | bool | None = None,
    force_download: bool = False,
    convertible: bool = True,
    modules: bool = False,
) -> Snapshot:
    """Return the files of a Model2Vec model or an artifact, downloading only those that are missing.

    There is no request if huggingface_hub's cache is known to hold the whole model, or the network is
    switched off, unless `force_download` is set. Only the model's files are fetched, not the whole
    repository.

    Args:
        hub_id: the place on the Hub.
        token: Hub access token; None uses the one that huggingface_hub finds.
        force_download: ask the Hub even if its cache holds the model.
        convertible: whether a Model2Vec model will do. Otherwise, it is refused before it is downloaded.
        modules: whether a model in the cache is complete only with the modules after its table.

    Raises:
        HubError: the repository, revision or network cannot be reached.
        SourceError: it holds neither a Model2Vec model nor an artifact, or the wrong one.
    """
    if not force_download:
        cached = _find_cached(hub_id, modules=modules)
        if cached is not None:
            _check_kind(hub_id, kind_of(known_files(cached.folder)), convertible)
            return cached
    found = list_files(hub_id, token=token)
    _check_kind(hub_id, found.kind, convertible)
    try:
        if found.kind == "artifact":
            manifest = download(hub_id, [fmt.MANIFEST], token) / hub_id.prefix / fmt.MANIFEST
            names: Iterable[str] = found.files.intersection([fmt.MANIFEST, *_read_listed_files(manifest)])
        elif found.kind == "model2vec":
            names = model2vec_files()
        else:
            check_legacy_files(found.files, str(hub_id))
            raise neither_kind(hub_id, found.files)
        root = download(hub_id, [*names, fmt.CARD], token)
        further = module_files(root / hub_id.prefix) & found.files
        if found.kind == "model2vec" and further:
            root = download(hub_id, further, token)
    except SourceError:
        raise
    except Exception as error:
        raise explain(error, hub_id) from error
    return Snapshot(root / hub_id.prefix, root.name)


def require_network(hub_id: HubId, action: str) -> None:
    """Check that huggingface_hub may use the network.

    Raises:
        HubError: HF_HUB_OFFLINE is set.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise HubError(f"{hub_id}: HF_HUB_OFFLINE is set, but {action} needs the network; unset it")


def neither_kind(hub_id: HubId, files: Collection[str]) -> SourceError:
    """Return the error for a repository that holds no model that portvec knows."""
    return SourceError(
        f"{hub_id}: neither a Model2Vec model ({expected_files()}) nor a portvec artifact "
        f"({fmt.MANIFEST}); has {', '.join(sorted(files)[:8]) or 'no files'}"
    )


def _check_kind(hub_id: HubId, kind: Kind | None, convertible: bool) -> None:
    if kind == "model2vec" and not convertible:
        raise SourceError(not_converted(hub_id.name, hub_id.subfolder))


def _find_cached(hub_id: HubId, *, modules: bool) -> Snapshot | None:
    """Return the model if huggingface_hub's cache has all its files, whatever else the repository has.

    With `modules`, those of the modules after the table count.

    Raises:
        HubError: files of modules are missing, and HF_HUB_OFFLINE is set.
    """
    from huggingface_hub import constants, try_to_load_from_cache

    for name in (fmt.MANIFEST, *sorted(model2vec_files())):
        path = hub_id.prefix + name
        try:
            found = try_to_load_from_cache(hub_id.repo_id, path, revision=hub_id.revision)
        except ValueError:  # not an id that the Hub allows
            return None
        if isinstance(found, str):
            root = Path(found).parents[path.count("/")]
            break
    else:
        return None
    # The cache may hold only some of the files, for example a README that another tool asked for.
    model = root / hub_id.prefix
    files = known_files(model)
    kind, layout = kind_of(files), layout_of(files)
    if kind is None or (layout and layout.is_sentence_transformers and MODULES not in files):
        return None
    if kind == "model2vec" and HEAD not in files and not constants.HF_HUB_OFFLINE:
        return None  # Only the Hub knows whether it is a pipeline, whose head nobody has asked for so far.
    if kind == "model2vec" and modules:
        wanted = needed_module_files(model) if constants.HF_HUB_OFFLINE else module_files(model)
        missing = sorted(wanted - known_files(model, wanted))
        if missing and constants.HF_HUB_OFFLINE:
            raise HubError(
                f"{hub_id}: the cache lacks {', '.join(missing)}, and HF_HUB_OFFLINE is set; unset it once "
                "to download the model"
            )
        if missing:
            return None  # Only the Hub knows whether there are such files: not every module has any.
    if kind == "artifact" and not all(
        (model / name).is_file() for name in _read_listed_files(model / fmt.MANIFEST)
    ):
        return None
    return Snapshot(model, root.name)


def _read_listed_files(manifest: Path) -> list[str]:
    """Return the names that a manifest lists, before it is validated; none if it cannot be read."""
    try:
        files: Any = parse_json(read_file(manifest, MANIFEST_LIMIT))["files"]
        return [str(name) for name in files]
    except (OSError, ValueError, LookupError, TypeError):
        return []


def download(
    hub_id: HubId, names: Iterable[str], token: str | bool | None, *, to: Path | None = None
) -> Path:
    """Fetch files into huggingface_hub's cache, or as real files into the folder `to`.

    `names` are relative to the subfolder of `hub_id`.

    Returns:
        The root of the repository there.
    """
    from huggingface_hub import snapshot_download

    from portvec._hub.progress import TerminalProgress
    from portvec._hub.waiting import bounded_waits

    with bounded_waits(hub_id):
        root = snapshot_download(
            hub_id.repo_id,
            revision=hub_id.revision,
            token=token,
            # A repository may have a file named *, which as a pattern would stand for every file.
            allow_patterns=[glob.escape(hub_id.prefix + name) for name in names],
            local_dir=to,
            tqdm_class=TerminalProgress,
        )
    return Path(root)
