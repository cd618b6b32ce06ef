"""Refusing folders of sentence-transformers that do more than model2vec's reading of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from portvec._artifact.files import parse_json, read_file
from portvec._artifact.layouts import MODULES, Layout
from portvec.errors import SourceError

_ASK = "pass semantics='model2vec' to read the model as model2vec does, without"


def check_modules(folder: Path, layout: Layout, config: Mapping[str, Any], *, may_normalize: bool) -> None:
    """Check that sentence-transformers only looks up and pools tokens, or gives unit length as `config` says.

    With `may_normalize`, the user said whether embeddings have unit length.

    Raises:
        SourceError: a module or prompt that model2vec ignores changes the embeddings.
    """
    path = folder / MODULES
    if path.is_file():
        modules = _read(path)
        names = [name for name, _ in modules]
        further = [name for name in names[1:] if name != "Normalize"]
        if names[:1] != ["StaticEmbedding"] or further:
            name = further[0] if names[:1] == ["StaticEmbedding"] else (names or ["nothing"])[0]
            raise SourceError(f"{path}: has the module {name}, expected only StaticEmbedding; {_ASK} it")
        inner = PurePosixPath(layout.embeddings).parent
        if PurePosixPath(modules[0][1]) != inner:
            raise SourceError(
                f"{path}: StaticEmbedding is in the folder {modules[0][1]!r}, but model2vec reads "
                f"{layout.embeddings}; remove one of them"
            )
        if "Normalize" in names and not config.get("normalize", False) and not may_normalize:
            raise SourceError(
                f"{path}: has the module Normalize, but {layout.config} does not normalize; pass "
                f"normalize=True for unit length, or {_ASK} it"
            )
    prompts = config.get("prompts") or {}
    if not isinstance(prompts, dict):
        raise SourceError(f"{folder / layout.config}: prompts is {prompts!r}, expected an object; correct it")
    used = sorted(name for name, prompt in prompts.items() if prompt)
    if used:
        raise SourceError(
            f"{folder / layout.config}: sentence-transformers puts prompts before texts ({', '.join(used)}); "
            f"{_ASK} them, and put them before your texts"
        )


def _read(path: Path) -> list[tuple[str, str]]:
    """Return the class name and the folder of each module."""
    try:
        modules = parse_json(read_file(path))
        return [(str(module["type"]).rsplit(".", 1)[-1], str(module.get("path", ""))) for module in modules]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SourceError(f"{path}: not a list of modules ({error}); fetch the model again") from error
