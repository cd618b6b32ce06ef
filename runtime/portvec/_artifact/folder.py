"""Opening an artifact folder: the checks that run before anything else reads from it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from portvec._artifact import format as fmt
from portvec._artifact.files import JSON_LIMIT, MANIFEST_LIMIT, Content, hold_file, read_file
from portvec._artifact.manifest import FileRecord, Manifest
from portvec._artifact.manifest_parsing import parse_manifest
from portvec._messages import no_such_folder
from portvec.errors import ArtifactError

_HASH_CHUNK = 1 << 20  # bytes
# A graph of up to this many bytes has no table in it, so hashing it at every load is cheap.
_SMALL = 1 << 16
# What another process replaces is looked at again after a pause, for as long as this, both in seconds. On a
# busy machine a writer may stop for a second between its two renames, and a reader miss many moments.
_PAUSE, _PATIENCE = 0.01, 30.0
# A missing folder that nobody was replacing at so many looks in a row will not appear.
_LOOKS = 20


@dataclass(frozen=True)
class Artifact:
    """An artifact folder whose manifest is valid and whose files have the recorded sizes.

    The contents of its files are those of one moment. They stay the same if the folder is replaced or
    deleted. On Windows, the folder cannot be while they are held.

    Attributes:
        folder: path of the folder.
        manifest: what it holds and where it came from.
        manifest_sha256: SHA-256 (hex) of the manifest. It lists the hash of each file, so it stands for all.
        contents: content of each file that the manifest lists, by its path in the folder.
    """

    folder: Path
    manifest: Manifest
    manifest_sha256: str
    contents: Mapping[str, Content] = field(repr=False, compare=False)

    def path(self, name: str) -> Path:
        """Return the path of one of the artifact's files."""
        return self.folder / name

    def read(self, name: str) -> Content:
        """Return the content of a file of the tokenizer, or of recorded texts, which may be mapped.

        Raises:
            ArtifactError: it is too large.
        """
        content = self.contents[name]
        if len(content) > JSON_LIMIT:
            raise ArtifactError(
                f"{self.path(name)}: {len(content):,} bytes, and such a file has at most {JSON_LIMIT:,}; "
                "do not use this artifact"
            )
        return content

    def list_files(self) -> list[str]:
        """Return paths in the folder: the manifest, the files that it lists, and the model card if any."""
        card = [fmt.CARD] if self.path(fmt.CARD).is_file() else []
        return list(dict.fromkeys([fmt.MANIFEST, *self.manifest.files, *card]))


def open_artifact(folder: Path, *, links: bool = False) -> Artifact:
    """Read the manifest of `folder`, open the files that it lists, and hash the small graphs.

    `check_hashes` reads the rest. With `links`, files may be links, as they are in huggingface_hub's cache.

    Raises:
        ArtifactError: the manifest is missing or invalid, or a listed file is missing, cannot be read, is a
            link, or has another size or hash.
    """
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        stamp = _stamp(folder)
        text = _read_manifest(folder)
        if stamp and text is not None:
            try:
                artifact = _open(folder, text, links)
            except ArtifactError:
                if _stamp(folder) == stamp:
                    raise
            else:
                if _stamp(folder) == stamp:
                    return artifact
        # Another process replaces the folder: it is missing, or its files may be those of two artifacts.
        time.sleep(_PAUSE)
    raise ArtifactError(f"{folder}: replaced again and again while it was opened; load it again later")


def _read_manifest(folder: Path) -> bytes | None:
    """Return None if the manifest was missing for a moment, because the folder is being replaced."""
    path = folder / fmt.MANIFEST
    try:
        return read_file(path, MANIFEST_LIMIT)
    except (FileNotFoundError, NotADirectoryError) as error:
        if path.is_symlink():
            raise ArtifactError(
                f"{path}: a link to a missing file; copy the whole folder again with links followed "
                "(cp -rL), or load a model of the Hub by its id"
            ) from error
        if artifact_appears(folder):
            return None
        if not os.path.lexists(folder):
            raise ArtifactError(no_such_folder(folder, "artifact folder")) from error
        raise ArtifactError(
            f"{folder}: no {fmt.MANIFEST}, so this is not a portvec artifact; make one with 'portvec export'"
        ) from error
    except OSError as error:
        raise ArtifactError(_unreadable(path, error)) from error


def _stamp(folder: Path) -> tuple[int, ...]:
    """Return what tells an artifact from the next one in the same folder, nothing if there is none."""
    try:
        found = (folder / fmt.MANIFEST).stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_ctime_ns


def _open(folder: Path, text: bytes, links: bool) -> Artifact:
    manifest = parse_manifest(text, str(folder / fmt.MANIFEST))
    files = manifest.files
    variants = (variant.graph for variant in manifest.variants.values())
    for graph in (fmt.GRAPH, *variants, *manifest.text_inputs.values()):
        data = fmt.data_of(graph)
        if data not in files and os.path.lexists(folder / data):
            raise ArtifactError(
                f"{folder / data}: not listed in {fmt.MANIFEST}; copy the folder again, or export again"
            )
    root = None if links else folder.resolve()
    contents = {name: _hold(folder, name, record, root) for name, record in files.items()}
    artifact = Artifact(folder, manifest, hashlib.sha256(text).hexdigest(), contents)
    for name in (fmt.GRAPH, fmt.RUNTIME_GRAPH):
        if name in files and files[name].size <= _SMALL:
            check_hash(artifact, name)
    return artifact


def _hold(folder: Path, name: str, record: FileRecord, root: Path | None) -> Content:
    """Return the content of a file, which must not be a link out of `root` if that is given."""
    path = folder / name
    try:
        content = hold_file(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ArtifactError(
            f"{path}: missing, but listed in {fmt.MANIFEST}; copy the whole folder, or export again"
        ) from error
    except OSError as error:
        raise ArtifactError(_unreadable(path, error)) from error
    if root is not None and path.resolve() != root / name:
        raise ArtifactError(
            f"{path}: a link, which may lead out of the artifact; copy the folder with links followed "
            "(cp -rL), or load a model of the Hub by its id"
        )
    if len(content) != record.size:
        raise ArtifactError(
            f"{path}: {len(content):,} bytes, but {fmt.MANIFEST} lists {record.size:,}; "
            "copy the folder again, or export again"
        )
    return content


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path}: cannot be read ({error.strerror or error}); check the file and its permissions"


def artifact_appears(folder: Path) -> bool:
    """Return whether an artifact that was not found is there, after a moment if somebody writes to it."""
    from portvec._artifact.working_folder import is_being_replaced, is_being_written  # they import tempfile

    end = time.monotonic() + _PATIENCE
    looks = 0
    while looks < _LOOKS and time.monotonic() < end:
        # In this order, because a writer that has ended between the two has left a manifest.
        is_written = is_being_written(folder)
        if os.path.lexists(folder / fmt.MANIFEST):
            return True
        if not is_written:
            break
        looks = 0 if is_being_replaced(folder) else looks + 1
        time.sleep(_PAUSE)
    return False


def check_hashes(artifact: Artifact) -> None:
    """Compare the SHA-256 of every listed file with the manifest.

    Raises:
        ArtifactError: the content of a file differs from what was exported.
    """
    for name in artifact.manifest.files:
        check_hash(artifact, name)


def check_hash(artifact: Artifact, name: str) -> None:
    """Compare the SHA-256 of a file with the manifest.

    Raises:
        ArtifactError: its content differs from what was exported.
    """
    if hashlib.sha256(artifact.contents[name]).hexdigest() != artifact.manifest.files[name].sha256:
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
