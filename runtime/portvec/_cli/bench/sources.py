"""The Model2Vec folder that peers load: MODEL itself, or the one that an artifact was made from."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from portvec._artifact.layouts import kind_of, known_files
from portvec._hub.client import fetch_snapshot
from portvec._hub.ids import HubId
from portvec.errors import MissingExtraError, SourceError


def check_installed(peer: str) -> None:
    """Check that a peer is installed.

    Raises:
        MissingExtraError: it is not.
    """
    if find_spec(peer) is None:
        raise MissingExtraError(f"--compare {peer}: {peer} is not installed; run pip install {peer}")


def peer_options(
    peer: str, model: str, options: Mapping[str, Any], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options of a peer's loader for the artifact that `facts` describe.

    Raises:
        SourceError: the Model2Vec model is not here, or does more than peers compute.
        HubError: the model cannot be fetched from the Hub.
    """
    if facts["has_layers"]:
        raise SourceError(
            f"{model}: has layers after the mean, which peers do not compute; leave out --compare"
        )
    folder = str(source_folder(model, options, facts["source"]))
    if peer != "model2vec":
        return {"folder": folder}
    return {
        "folder": folder,
        "normalize": facts["normalize"],
        "max_length": facts["max_length"],
        "dimensionality": facts["dim"],
    }


def source_folder(model: str, options: Mapping[str, Any], source: Mapping[str, Any]) -> Path:
    """Return the folder of the Model2Vec model that `model`, loaded with `options`, is or was made from."""
    folder = Path(model).expanduser() / (options["subfolder"] or "")
    if folder.is_dir() and kind_of(known_files(folder)) == "model2vec":
        return folder
    if source["revision"] is not None:
        hub_id = HubId(source["id"], source["revision"], source["subfolder"])
        return fetch_snapshot(hub_id, token=options["token"]).folder
    folder = Path(source["id"]) / (source["subfolder"] or "")
    if folder.is_dir() and kind_of(known_files(folder)) == "model2vec":
        return folder
    raise SourceError(
        f"{model}: peers need the Model2Vec model that it was made from, {source['id']}, which is not in "
        "the current folder; give the Model2Vec folder itself as MODEL"
    )
