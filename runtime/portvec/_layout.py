"""What kind of model a folder or repository holds, told from its file names."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final, Literal, NamedTuple

from portvec import _format as fmt

Kind = Literal["artifact", "model2vec"]


class Layout(NamedTuple):
    """Paths of a Model2Vec model's files, relative to its folder."""

    embeddings: str
    config: str
    tokenizer: str


# The layouts that model2vec 0.10 reads, in the order in which it tries them. A test compares them
# with model2vec's own.
LAYOUTS: Final = (
    Layout("model.safetensors", "config.json", "tokenizer.json"),
    Layout("model.safetensors", "config_sentence_transformers.json", "tokenizer.json"),
    Layout(
        "0_StaticEmbedding/model.safetensors",
        "config_sentence_transformers.json",
        "0_StaticEmbedding/tokenizer.json",
    ),
)


def layout_of(files: Collection[str]) -> Layout | None:
    """Return the Model2Vec layout that `files` (relative, with slashes) fill, or None."""
    return next((layout for layout in LAYOUTS if all(name in files for name in layout)), None)


def kind_of(files: Collection[str]) -> Kind | None:
    """Return what a model folder with these files is, or None if it is neither kind."""
    if fmt.MANIFEST in files:
        return "artifact"
    return "model2vec" if layout_of(files) else None


def known_files(folder: Path) -> set[str]:
    """Return which of the files that tell a model's kind exist in `folder`."""
    names = {fmt.MANIFEST, *(name for layout in LAYOUTS for name in layout)}
    return {name for name in names if (folder / name).is_file()}


def expected_files() -> str:
    """Return, for messages, what a folder must hold to be a Model2Vec model."""
    return f"{', '.join(LAYOUTS[0])}, or sentence-transformers' StaticEmbedding layout of them"
