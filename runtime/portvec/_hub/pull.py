"""Fetching an artifact from the Hub into a folder."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from portvec._artifact import format as fmt
from portvec._artifact.files import MANIFEST_LIMIT, read_file
from portvec._artifact.folder import check_hashes, open_artifact
from portvec._artifact.manifest_parsing import parse_manifest
from portvec._artifact.staging import check_target, new_folder
from portvec._hub.client import Listing, download, list_files, neither_kind, require_network
from portvec._hub.failures import explain
from portvec._hub.ids import HubId
from portvec.errors import ArtifactError, SourceError

# These errors come from this machine's disk, not from the network.
_DISK = (errno.ENOSPC, errno.EFBIG, errno.EACCES, errno.EROFS)


@dataclass(frozen=True)
class Pulled:
    """What was fetched.

    Attributes:
        folder: the artifact.
        repo_id: the repository, `owner/name`.
        commit: the commit that it was fetched from.
        files: number of files.
        bytes: their size.
    """

    folder: str
    repo_id: str
    commit: str
    files: int
    bytes: int


def pull_artifact(
    hub_id: HubId,
    output: str | os.PathLike[str],
    *,
    token: str | None = None,
    overwrite: bool = False,
) -> Pulled:
    """Fetch an artifact from the Hub into a folder of real files, and check their hashes.

    All files come from one commit. `output` appears when they are complete, even if the process is killed.

    Args:
        hub_id: the place on the Hub.
        output: the folder to make.
        token: Hub access token; None uses the one that huggingface_hub finds.
        overwrite: replace `output` if it is an artifact.

    Raises:
        SourceError: the repository holds no artifact.
        HubError: the repository, revision or network cannot be reached.
        ExportError: `output` is taken or cannot be written.
        ArtifactError: the artifact in the repository is damaged; nothing was kept.
    """
    check_target(output, overwrite)
    require_network(hub_id, "pull")
    found = list_files(hub_id, token=token)
    if found.kind == "model2vec":
        option = f" --subfolder {hub_id.subfolder}" if hub_id.subfolder else ""
        raise SourceError(
            f"{hub_id}: a Model2Vec model, not an artifact; "
            f"run 'portvec export {hub_id.name}{option} -o {output}'"
        )
    if found.kind is None:
        raise neither_kind(hub_id, found.files)
    with new_folder(output, overwrite=overwrite) as staging:
        files, size = _fetch(hub_id, found, token, staging)
    return Pulled(str(output), hub_id.repo_id, found.commit, files, size)


def _fetch(hub_id: HubId, found: Listing, token: str | None, staging: Path) -> tuple[int, int]:
    """Fill the empty folder `staging`; return the number of files and their size in bytes."""
    # huggingface_hub writes records of its own beside the files, so only the artifact's files are moved out.
    incoming = staging / ".incoming"
    at_commit = replace(hub_id, revision=found.commit)

    def get(names: list[str]) -> Path:
        try:
            return download(at_commit, names, token, to=incoming) / hub_id.prefix
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _DISK:
                raise
            raise explain(error, hub_id) from error

    path = get([fmt.MANIFEST]) / fmt.MANIFEST
    try:
        manifest = read_file(path, MANIFEST_LIMIT)
    except OSError as error:
        raise ArtifactError(f"{hub_id}: {fmt.MANIFEST} cannot be read ({error.strerror or error})") from error
    listed = parse_manifest(manifest, f"{hub_id}: {fmt.MANIFEST}").files
    missing = sorted(listed.keys() - found.files)
    if missing:
        raise ArtifactError(
            f"{hub_id}: {missing[0]} is missing, though {fmt.MANIFEST} lists it; push the whole "
            "artifact again"
        )
    source = get([*listed, *({fmt.CARD} & found.files)])
    for name in {fmt.MANIFEST, *listed, *({fmt.CARD} & found.files)}:
        (staging / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).rename(staging / name)
    shutil.rmtree(incoming)
    try:
        artifact = open_artifact(staging)
        check_hashes(artifact)
    except ArtifactError as error:
        detail = str(error).replace(f"{staging}{os.sep}", "").split(";")[0]
        raise ArtifactError(
            f"{hub_id}: holds a damaged artifact ({detail}), and nothing was kept; push it again, or pull "
            "another revision"
        ) from error
    names = artifact.list_files()
    return len(names), sum(artifact.path(name).stat().st_size for name in names)
