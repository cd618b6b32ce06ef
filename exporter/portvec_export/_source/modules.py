"""modules.json and prompts: what sentence-transformers does with a text, and model2vec does not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from portvec._artifact.files import parse_json, read_file
from portvec._artifact.layouts import LAYOUTS, MODULES, Layout, is_inside
from portvec._artifact.prompts import has_surrogate
from portvec.errors import SourceError
from portvec_export._source.files import parse_object, read_whole

# Package of the classes that sentence-transformers brings, and its configuration.
OWN = "sentence_transformers."
SETTINGS = "config_sentence_transformers.json"
STATIC = "StaticEmbedding"
# What StaticEmbedding does, and a layer more. Models bring the class as code.
SSE = "SSE"
NORMALIZE = "Normalize"
_ASK = (
    "pass semantics='sentence-transformers' for what sentence-transformers gives, or semantics='model2vec' "
    "to read the model as model2vec does, without"
)


class Module(NamedTuple):
    """A module of a model.

    Attributes:
        name: its name, of which there is one.
        type: path of its class in Python.
        path: its folder, "" for that of the model.
    """

    name: str
    type: str
    path: str

    @property
    def kind(self) -> str:
        """Name of its class."""
        return self.type.rsplit(".", 1)[-1]


def read_modules(folder: Path, layout: Layout) -> list[Module]:
    """Return the modules of a folder, of which the first has the table that model2vec reads.

    Raises:
        SourceError: there is no such list, it begins with another module, or model2vec reads other files.
    """
    path = folder / MODULES
    try:
        listed = parse_json(read_file(path))
        modules = [
            Module(str(each.get("name", number)), str(each["type"]), str(each.get("path", "")))
            for number, each in enumerate(listed)
        ]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SourceError(f"{path}: not a list of modules ({error}); fetch the model again") from error
    if not modules or modules[0].kind not in (STATIC, SSE):
        name = modules[0].kind if modules else "nothing"
        raise SourceError(f"{path}: has the module {name}, expected {STATIC} first; is it a static model?")
    for module in modules:
        if not is_inside(module.path):
            raise SourceError(
                f"{path}: the folder {module.path!r} of {module.kind} is not inside the model's; do not use "
                "this model"
            )
    inner = PurePosixPath(layout.embeddings).parent
    if PurePosixPath(modules[0].path) != inner:
        raise SourceError(
            f"{path}: {modules[0].kind} is in the folder {modules[0].path!r}, but model2vec reads "
            f"{layout.embeddings}; remove one of them"
        )
    return modules


def check_plain(folder: Path, layout: Layout, config: dict[str, Any], *, may_normalize: bool) -> None:
    """Check that sentence-transformers only looks up and pools tokens, or gives unit length as `config` says.

    With `may_normalize`, the user said whether embeddings have unit length. In a folder of model2vec, its own
    configuration does.

    Raises:
        SourceError: a module, prompt or setting that model2vec ignores changes the embeddings.
    """
    if (folder / MODULES).is_file():
        is_decided = may_normalize or bool(config.get("normalize", False))
        _check_plain_modules(folder, layout, may_normalize=is_decided or not layout.is_sentence_transformers)
    path = folder / SETTINGS
    settings = read_settings(folder, layout, config)
    used = sorted(name for name, prompt in read_prompts(path, settings).items() if prompt)
    if used:
        raise SourceError(
            f"{path}: sentence-transformers puts prompts before texts ({', '.join(used)}); {_ASK} them"
        )
    dim = settings.get("truncate_dim")
    if dim is not None:
        raise SourceError(f"{path}: truncate_dim is {dim!r}, which model2vec ignores; {_ASK} it")


def _check_plain_modules(folder: Path, layout: Layout, *, may_normalize: bool) -> None:
    path = folder / MODULES
    first, *further = read_modules(folder, layout)
    ignored = [module.kind for module in further if module.kind != NORMALIZE]
    if ignored or first.kind != STATIC:
        raise SourceError(
            f"{path}: has the module {[*ignored, first.kind][0]}, which model2vec ignores; {_ASK} it"
        )
    for module in (first, *further):
        if not module.type.startswith(OWN):
            raise SourceError(
                f"{path}: has the module {module.type}, whose code model2vec ignores; {_ASK} it"
            )
    if further and not may_normalize:
        raise SourceError(
            f"{path}: has the module {NORMALIZE}, but {layout.config} does not normalize; {_ASK} it"
        )


def read_settings(folder: Path, layout: Layout, config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of sentence-transformers, {} if there is none.

    `config` is what the layout calls its configuration: that one, or model2vec's.

    Raises:
        SourceError: it is not a JSON object, or cannot be read.
    """
    if layout != LAYOUTS[0]:
        return config
    path = folder / SETTINGS
    return parse_object(read_whole(path), path) if path.is_file() else {}


def read_prompts(path: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """Return the prompts in the configuration at `path`, by name.

    Raises:
        SourceError: they are no object of texts.
    """
    prompts = config.get("prompts") or {}
    if not isinstance(prompts, dict):
        raise SourceError(f"{path}: prompts is {prompts!r}, expected an object; correct it")
    for name, prompt in prompts.items():
        if has_surrogate(name):
            raise SourceError(f"{path}: the prompt {name!r} has a lone surrogate in its name; correct it")
        if prompt is not None and (not isinstance(prompt, str) or has_surrogate(prompt)):
            raise SourceError(f"{path}: the prompt {name!r} is {prompt!r}, expected a text; correct it")
    return {name: prompt or "" for name, prompt in prompts.items()}
