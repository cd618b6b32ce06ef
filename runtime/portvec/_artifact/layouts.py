"""Which kind of model a folder or repository holds, judged by its file names."""

from __future__ import annotations

import stat
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Final, Literal, NamedTuple

from portvec._artifact import format as fmt
from portvec._artifact.files import parse_json, read_file
from portvec.errors import SourceError

Kind = Literal["artifact", "model2vec"]


class Layout(NamedTuple):
    """Paths of a Model2Vec model's files, relative to its folder, and the name of its table."""

    embeddings: str
    config: str
    tokenizer: str
    tensor: str

    @property
    def is_sentence_transformers(self) -> bool:
        """Whether the folder is one of sentence-transformers, which has more than model2vec reads."""
        return self.config != LAYOUTS[0].config

    @property
    def files(self) -> tuple[str, str, str]:
        """The three files without which there is no model."""
        return self.embeddings, self.config, self.tokenizer


# The layouts that model2vec 0.10 reads, in the order in which it tries them. A test compares them with
# model2vec's own.
LAYOUTS: Final = (
    Layout("model.safetensors", "config.json", "tokenizer.json", "embeddings"),
    Layout("model.safetensors", "config_sentence_transformers.json", "tokenizer.json", "embedding.weight"),
    Layout(
        "0_StaticEmbedding/model.safetensors",
        "config_sentence_transformers.json",
        "0_StaticEmbedding/tokenizer.json",
        "embedding.weight",
    ),
)

# What sentence-transformers does after the static embedding. Its own folders have it, and so may model2vec's.
MODULES: Final = "modules.json"

# What a module has in its folder. Only some have weights, and in older releases only those have either.
MODULE_CONFIG: Final = "config.json"
MODULE_WEIGHTS: Final = "model.safetensors"
MODULE_FILES: Final = (MODULE_CONFIG, MODULE_WEIGHTS)
# The one that has both.
DENSE: Final = "Dense"

# The head of a pipeline is a file beside the model. One in the legacy format must be converted first.
HEAD: Final = "head.safetensors"
LEGACY_HEAD: Final = "pipeline.skops"

# Files in which other versions and programs keep the table, and what to do with them.
_PICKLED = (
    "a pickle, which portvec never opens; save a static model again as safetensors "
    "(SentenceTransformer(...).save_pretrained), and distill a transformer with model2vec.distill"
)
_LEGACY = {
    "embeddings.safetensors": "embeddings.safetensors is the name that model2vec 0.1 gave the table; rename "
    "it to model.safetensors",
    "pytorch_model.bin": f"has pytorch_model.bin, {_PICKLED}",
    "0_StaticEmbedding/pytorch_model.bin": f"has 0_StaticEmbedding/pytorch_model.bin, {_PICKLED}",
}


def layout_of(files: Collection[str]) -> Layout | None:
    """Return the first Model2Vec layout whose files are all in `files` (relative, with slashes), or None."""
    return next((layout for layout in LAYOUTS if all(name in files for name in layout.files)), None)


def kind_of(files: Collection[str]) -> Kind | None:
    """Return which kind of model a folder with these files holds, or None for neither."""
    if fmt.MANIFEST in files:
        return "artifact"
    return "model2vec" if layout_of(files) else None


def model2vec_files() -> set[str]:
    """Return every file name that a Model2Vec model may have, in any layout."""
    return {HEAD, LEGACY_HEAD, MODULES, *(name for layout in LAYOUTS for name in layout.files)}


def module_files(folder: Path) -> set[str]:
    """Return every file name that the modules after the first may have, as modules.json in `folder` says.

    That is none if there is no such list, and those of a folder that cannot be there are left out.
    """
    return {f"{path}/{name}" for path, _ in _further_modules(folder) for name in MODULE_FILES}


def needed_module_files(folder: Path) -> set[str]:
    """Return those of `module_files` that are always there; other modules may have none."""
    return {
        f"{path}/{name}"
        for path, kind in _further_modules(folder)
        if kind.rpartition(".")[2] == DENSE
        for name in MODULE_FILES
    }


def _further_modules(folder: Path) -> list[tuple[str, str]]:
    """Return the folder and the type of each module after the first."""
    try:
        listed = parse_json(read_file(folder / MODULES))[1:]
        modules = [(str(module["path"]), str(module.get("type"))) for module in listed]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return []
    return [(path, kind) for path, kind in modules if path and is_inside(path)]


def is_inside(path: str) -> bool:
    """Return whether a path with slashes can be one inside a folder, on every system."""
    inside = PurePosixPath(path)
    leaves = inside.is_absolute() or ".." in inside.parts or "\\" in path or ":" in path
    return not leaves and path.isprintable()  # a NUL or a lone surrogate is in no file's name


def known_files(folder: Path, names: Collection[str] | None = None) -> set[str]:
    """Return which of the files that decide a model's kind, or of `names`, exist in `folder`.

    Raises:
        SourceError: the folder may not be read.
    """
    wanted = {fmt.MANIFEST, *model2vec_files()} if names is None else names
    try:
        return {name for name in wanted if _is_file(folder / name)}
    except OSError as error:
        raise SourceError(
            f"{folder}: cannot be read ({error.strerror or error}); check the folder and its permissions"
        ) from error


def _is_file(path: Path) -> bool:
    """Return whether a file is there. Unlike Path.is_file, raise OSError if that cannot be told."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def check_legacy_folder(folder: Path) -> None:
    """Refuse a folder, which is no model, if its files show what it should have been.

    Raises:
        SourceError: a file has an old name, or is missing beside the others; the message has the remedy.
    """
    check_legacy_files(known_files(folder, {*_LEGACY, *model2vec_files()}), str(folder))


def check_legacy_files(files: Collection[str], where: str) -> None:
    """Do what `check_legacy_folder` does for the names of files at `where`."""
    for name, problem in _LEGACY.items():
        if name in files:
            raise SourceError(f"{where}: {problem}")
    for layout in LAYOUTS:
        missing = [name for name in layout.files if name not in files]
        if len(missing) == 1 and layout.embeddings in files:
            remedy = (
                'add one, such as {"normalize": true} if embeddings have unit length'
                if missing == [layout.config]
                else "copy or download it too"
            )
            if missing == [LAYOUTS[0].config] and MODULES in files:  # which model2vec writes too
                remedy += f", or add {LAYOUTS[1].config} with {{}} if sentence-transformers wrote the model"
            raise SourceError(f"{where}: has {layout.embeddings}, but no {missing[0]}; {remedy}")


def expected_files() -> str:
    """Return, for messages, which files make a folder a Model2Vec model."""
    return f"{', '.join(LAYOUTS[0].files)}, or sentence-transformers' StaticEmbedding layout of them"
