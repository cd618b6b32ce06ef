"""Opening an artifact folder: the checks that run before anything else reads from it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from portvec._artifact import format as fmt
from portvec._artifact.manifest import FileRecord, Manifest
from portvec._messages import no_such_folder
from portvec.errors import ArtifactError

_HASH_CHUNK = 1 << 20  # bytes
# A graph of up to this many bytes has no table in it, so hashing it at every load is cheap.
_SMALL = 1 << 16


@dataclass(frozen=True)
class Artifact:
    """An artifact folder whose manifest is valid and whose files have the recorded sizes.

    Attributes:
        folder: path of the folder.
        manifest: what it holds and where it came from.
    """

    folder: Path
    manifest: Manifest

    def path(self, name: str) -> Path:
        """Return the path of one of the artifact's files."""
        return self.folder / name

    def list_files(self) -> list[str]:
        """Return paths in the folder: the manifest, the files that it lists, and the model card if any."""
        card = [fmt.CARD] if self.path(fmt.CARD).is_file() else []
        return list(dict.fromkeys([fmt.MANIFEST, *self.manifest.files, *card]))


def open_artifact(folder: Path, *, links: bool = False) -> Artifact:
    """Read the manifest of `folder`, check the sizes of its files, and hash its small graphs.

    `check_hashes` reads the rest. With `links`, files may be links, as they are in huggingface_hub's cache.

    Raises:
        ArtifactError: the manifest is missing or invalid, or a listed file is missing, is a link, or has
            another size or hash.
    """
    manifest_path = folder / fmt.MANIFEST
    try:
        text = manifest_path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if not os.path.lexists(folder):
            raise ArtifactError(no_such_folder(folder, "artifact folder")) from error
        raise ArtifactError(
            f"{folder}: no {fmt.MANIFEST}, so this is not a portvec artifact; make one with 'portvec export'"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{manifest_path}: cannot be read ({error})") from error
    artifact = Artifact(folder, Manifest.from_json(text, str(manifest_path)))
    files = artifact.manifest.files
    for graph in (fmt.GRAPH, *(variant.graph for variant in artifact.manifest.variants.values())):
        data = fmt.data_of(graph)
        if data not in files and os.path.lexists(folder / data):
            raise ArtifactError(
                f"{folder / data}: not listed in {fmt.MANIFEST}; copy the folder again, or export again"
            )
    for name, record in files.items():
        _check_file(folder, name, record, links)
    for name in (fmt.GRAPH, fmt.RUNTIME_GRAPH, fmt.SINGLE_GRAPH):
        if name in files and files[name].size <= _SMALL:
            _check_hash(artifact, name)
    return artifact


def check_hashes(artifact: Artifact) -> None:
    """Compare the SHA-256 of every listed file with the manifest.

    Raises:
        ArtifactError: the content of a file differs from what was exported.
    """
    for name in artifact.manifest.files:
        _check_hash(artifact, name)


def _check_file(folder: Path, name: str, record: FileRecord, links: bool) -> None:
    path = folder / name
    if not path.is_file():
        raise ArtifactError(
            f"{path}: missing, but listed in {fmt.MANIFEST}; copy the whole folder, or export again"
        )
    if not links and path.resolve() != folder.resolve() / name:
        raise ArtifactError(
            f"{path}: a link, which may lead out of the artifact; copy the folder with links followed "
            "(cp -rL), or load a model of the Hub by its id"
        )
    size = path.stat().st_size
    if size != record.size:
        raise ArtifactError(
            f"{path}: {size:,} bytes, but {fmt.MANIFEST} lists {record.size:,}; "
            "copy the folder again, or export again"
        )


def _check_hash(artifact: Artifact, name: str) -> None:
    if sha256_of(artifact.path(name)) != artifact.manifest.files[name].sha256:
        raise ArtifactError(
            f"{artifact.path(name)}: content differs from what was exported (SHA-256); "
            "copy the folder again, or export again"
        )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hex, reading it in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_HASH_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
