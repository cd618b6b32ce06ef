"""Opening an artifact folder: what every load checks before anything else reads from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from portvec import _format as fmt
from portvec._manifest import Manifest
from portvec.errors import ArtifactError

_HASH_CHUNK = 1 << 20  # bytes


@dataclass(frozen=True)
class Artifact:
    """An artifact folder whose manifest is valid and whose files have the recorded sizes."""

    folder: Path
    manifest: Manifest

    def path(self, name: str) -> Path:
        """Return the path of one of the artifact's files."""
        return self.folder / name


def open_artifact(folder: Path) -> Artifact:
    """Read the manifest of `folder` and check that each file it lists is there and whole.

    Costs one small read and a stat per file; contents are hashed by `check_hashes` only.

    Raises:
        ArtifactError: no manifest, an invalid one, or a listed file is missing
            or has another size.
    """
    manifest_path = folder / fmt.MANIFEST
    try:
        text = manifest_path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ArtifactError(
            f"{folder}: no {fmt.MANIFEST}, so this is no portvec artifact; make one with 'portvec export'"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{manifest_path}: cannot be read ({error})") from error
    manifest = Manifest.from_json(text, str(manifest_path))
    for name, record in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise ArtifactError(
                f"{path}: missing, but listed in {fmt.MANIFEST}; copy the whole folder, or export again"
            )
        size = path.stat().st_size
        if size != record.size:
            raise ArtifactError(
                f"{path}: {size:,} bytes, but {fmt.MANIFEST} lists {record.size:,}; "
                "copy the folder again, or export again"
            )
    return Artifact(folder, manifest)


def check_hashes(artifact: Artifact) -> None:
    """Compare the SHA-256 of every file with the manifest.

    Raises:
        ArtifactError: a file's content differs from what was exported.
    """
    for name, record in artifact.manifest.files.items():
        if sha256_of(artifact.path(name)) != record.sha256:
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
