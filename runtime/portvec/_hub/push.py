"""Publishing an artifact on the Hub, in one commit."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portvec._artifact import format as fmt
from portvec._artifact.files import MANIFEST_LIMIT, read_file
from portvec._artifact.folder import Artifact, open_artifact
from portvec._artifact.manifest import Manifest
from portvec._artifact.manifest_parsing import parse_manifest
from portvec._hub.client import Listing, download, list_files, require_network
from portvec._hub.failures import explain_push
from portvec._hub.ids import HubId
from portvec._hub.waiting import bounded_waits
from portvec._inference.verify import verify_artifact
from portvec.errors import ArtifactError, HubError, PortvecError

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

# Files that a repository may have before an artifact is pushed to it.
_HARMLESS = {".gitattributes", ".gitignore", "LICENSE", "LICENSE.md", "LICENSE.txt", fmt.CARD}


@dataclass(frozen=True)
class Pushed:
    """Where an artifact was published.

    Attributes:
        repo_id: the repository, `owner/name`.
        url: its page.
        commit: the commit that holds the artifact.
        files: number of files.
        bytes: their size.
    """

    repo_id: str
    url: str
    commit: str
    files: int
    bytes: int


def push_artifact(
    folder: str | os.PathLike[str],
    hub_id: HubId,
    *,
    private: bool = False,
    token: str | None = None,
    message: str | None = None,
) -> Pushed:
    """Upload an artifact and its model card to the Hub.

    The artifact is verified first. The repository and the branch `hub_id.revision` are created if they do not
    exist. One commit adds all files, and removes those of a previous artifact.

    Args:
        folder: the artifact.
        hub_id: the repository, and a branch of it.
        private: make a new repository private; refuse one that exists and is public.
        token: Hub access token with the right to write; None uses the one that huggingface_hub finds.
        message: commit message.

    Raises:
        ArtifactError: the folder is not a valid artifact; nothing was sent.
        HubError: no token, no right to write, no network, or the repository holds another model.
    """
    artifact = open_artifact(Path(folder))
    verify_artifact(artifact)
    _check_card(artifact)
    require_network(hub_id, "push")
    from huggingface_hub import HfApi, get_token

    if not (token or get_token()):
        raise HubError(
            f"{hub_id}: pushing needs a token with write access; run 'hf auth login', or pass token=..."
        )
    api = HfApi(token=token)
    names = artifact.list_files()
    visibility: dict[str, Any] = {"private": True} if private else {}  # else the owner's default
    try:
        with bounded_waits(hub_id):
            url = api.create_repo(hub_id.repo_id, exist_ok=True, **visibility)
            present = _prepare_repository(api, hub_id, private, token)
            stale = (_previous_files(hub_id, present, token) - set(names)) & present.files
            commit = api.create_commit(
                hub_id.repo_id,
                _list_operations(artifact, names, stale),
                commit_message=message or _describe(artifact.manifest),
                revision=hub_id.revision,
                parent_commit=present.commit,
            )
    except PortvecError:
        raise
    except Exception as error:
        raise explain_push(error, hub_id) from error
    size = sum(artifact.path(name).stat().st_size for name in names)
    return Pushed(hub_id.repo_id, str(url), commit.oid, len(names), size)


def _check_card(artifact: Artifact) -> None:
    """Refuse a card that is a link. Opening an artifact checks the listed files only."""
    path = artifact.path(fmt.CARD)
    if path.is_symlink():
        raise ArtifactError(f"{path}: a link, which may lead to any file; replace it with a copy")


def _prepare_repository(api: HfApi, hub_id: HubId, private: bool, token: str | None) -> Listing:
    """Return the repository's files, after checking them and creating the branch if it does not exist."""
    from huggingface_hub.errors import RevisionNotFoundError

    present = list_files(replace(hub_id, revision=None), token=token)
    if private and not present.private:
        raise HubError(
            f"{hub_id}: exists and is public, but private=True was given; make it private in its "
            "settings on the Hub, or choose another name"
        )
    missing = False
    if hub_id.revision:
        try:
            present = list_files(hub_id, token=token)
        except HubError as error:
            missing = isinstance(error.__cause__, RevisionNotFoundError)
            if not missing:
                raise
    _check_contents(hub_id, present)
    if missing:
        api.create_branch(hub_id.repo_id, branch=str(hub_id.revision))  # from the main branch, as listed
    return present


def _check_contents(hub_id: HubId, present: Listing) -> None:
    others = sorted(present.files - _HARMLESS)
    if present.kind != "artifact" and others:
        raise HubError(
            f"{hub_id}: holds files but no {fmt.MANIFEST} ({', '.join(others[:4])}), and push replaces "
            "artifacts only; choose another repository"
        )


def _previous_files(hub_id: HubId, present: Listing, token: str | None) -> set[str]:
    """Return the files that the repository's artifact lists; none if its manifest is not valid."""
    if present.kind != "artifact":
        return set()
    at_commit = replace(hub_id, revision=present.commit)
    path = download(at_commit, [fmt.MANIFEST], token) / fmt.MANIFEST
    try:
        return set(parse_manifest(read_file(path, MANIFEST_LIMIT), str(path)).files)
    except (ArtifactError, OSError):
        return set()


def _list_operations(
    artifact: Artifact, names: list[str], stale: set[str]
) -> list[CommitOperationAdd | CommitOperationDelete]:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    added = [CommitOperationAdd(name, artifact.path(name)) for name in names]
    return [*added, *(CommitOperationDelete(name) for name in sorted(stale))]


def _describe(manifest: Manifest) -> str:
    return f"Artifact of {manifest.source.id}: {manifest.dtype}, {manifest.dim} dimensions"
