"""Where the files of a Model2Vec model are: in a folder, or fetched from the Hub."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from portvec._artifact import format as fmt
from portvec._artifact.folder import sha256_of
from portvec._artifact.layouts import (
    HEAD,
    LEGACY_HEAD,
    Layout,
    check_legacy_folder,
    expected_files,
    kind_of,
    known_files,
    layout_of,
)
from portvec._artifact.manifest import Source
from portvec._artifact.paths import printable
from portvec._hub.client import fetch_snapshot
from portvec._hub.ids import HubId, locate
from portvec._messages import no_such_folder
from portvec.errors import SourceError
from portvec_export._options import ExportOptions


@dataclass(frozen=True)
class Location:
    """A folder that holds a Model2Vec model.

    Attributes:
        folder: path of the folder with the model's files.
        layout: their paths in it.
        name: Hub id, or name of the local folder.
        commit: commit on the Hub; None for a local folder.
        subfolder: path of `folder` in the repository or local folder; None for its root.
    """

    folder: Path
    layout: Layout
    name: str
    commit: str | None
    subfolder: str | None

    def origin(self, further: Iterable[str] = ()) -> Source:
        """Return what the manifest says of the source; hashes its files and `further` ones."""
        head = [HEAD] if (self.folder / HEAD).is_file() else []
        hashes = {path: sha256_of(self.folder / path) for path in (*self.layout.files, *head, *further)}
        subfolder = None if self.subfolder is None else printable(self.subfolder)
        return Source(printable(self.name), self.commit, subfolder, hashes)


def find_model(source: str | os.PathLike[str], options: ExportOptions) -> Location:
    """Find a model, fetching it if it is on the Hub.

    Raises:
        SourceError: it does not exist, cannot be fetched, or is not a Model2Vec model.
    """
    located = locate(source, options.revision, options.subfolder)
    if isinstance(located, HubId):
        modules = options.semantics == fmt.SENTENCE_TRANSFORMERS
        fetched = fetch_snapshot(located, token=options.token, modules=modules)
        folder, name, commit = fetched.folder, located.repo_id, fetched.commit
    else:
        folder, name, commit = located / (options.subfolder or ""), located.resolve().name, None
    if not folder.is_dir():
        raise SourceError(no_such_folder(folder, "model folder"))
    files = known_files(folder)
    if kind_of(files) == "artifact":
        raise SourceError(
            f"{source}: is already a portvec artifact; export the Model2Vec model it was made from"
        )
    layout = layout_of(files)
    if layout is None:
        check_legacy_folder(folder)
        raise SourceError(f"{folder}: not a Model2Vec model, which has {expected_files()}; check the path")
    if LEGACY_HEAD in files and HEAD not in files:
        raise SourceError(_describe_legacy_head(folder, Path(options.subfolder or name).name))
    return Location(folder, layout, name, commit, options.subfolder)


def _describe_legacy_head(folder: Path, name: str) -> str:
    """Return that a pipeline must be converted, and the command that does it."""
    target = f"{name}-converted"
    # safetensors 0.8.0 writes arrays as they lie in memory, and those of the head lie in the other order.
    code = (
        "import numpy; from model2vec.inference import convert_legacy_pipeline; "
        f"pipeline = convert_legacy_pipeline({folder.as_posix()!r}); "
        "[setattr(each, 'weight', numpy.ascontiguousarray(each.weight)) for each in pipeline.head.layers]; "
        f"pipeline.save_pretrained({target!r})"
    )
    # Shells of every system read these quotes, but that of Unix reads a few characters in them.
    command = shlex.join(["python", "-c", code]) if set(code) & set('"$`!\\') else f'python -c "{code}"'
    return (
        f"{folder / LEGACY_HEAD}: a head in the old scikit-learn format; run pip install scikit-learn skops, "
        f"convert it once with {command}, and use {target} instead"
    )
