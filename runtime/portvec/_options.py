"""The options of loading a model. Each is declared once, here, and they are passed as one object."""

from __future__ import annotations

import inspect
import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from functools import wraps
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from portvec._messages import describe_unknown
from portvec.errors import OptionError

P = ParamSpec("P")
Options = TypeVar("Options")
First = TypeVar("First")
Second = TypeVar("Second")
Result = TypeVar("Result")

# Counts of tokens and dimensions, and token ids, are int32 in the graphs.
_LARGEST = 2**31 - 1
# More threads than any machine has cores are a mistake, and each holds texts.
_MOST_THREADS = 4096
SEMANTICS = ("model2vec", "projector", "sentence-transformers")

# The line of a docstring that stands for the fields of an options class.
_PLACEHOLDER = "options: "


def option(default: Any, doc: str, *, manifest: str | None = None) -> Any:
    """Return a field of an options class.

    `doc` becomes part of the documentation of functions that take the options. An option that changes what a
    model is converted to names the attribute of `manifest` that records it.
    """
    return field(default=default, metadata={"doc": doc, "manifest": manifest})


@dataclass(frozen=True, kw_only=True)
class ConversionOptions:
    """Where a model is, and what to convert it to: the options that loading and exporting share.

    Raises:
        OptionError: an option has a value of another type, that is unknown, or that is out of range.
    """

    revision: str | None = option(None, "branch, tag or commit on the Hub; the main branch if None")
    token: str | bool | None = option(
        None, "Hub access token; if None or True, the one that huggingface_hub finds"
    )
    subfolder: str | None = option(None, "folder inside the repository or local folder")
    dim: int | None = option(None, "keep the first `dim` dimensions; all if None", manifest="dim")
    vocabulary_size: int | None = option(
        None,
        "number of vectors that all token ids share, found by model2vec's k-means, which takes minutes for "
        "large models and needs the extra `vocabulary`; each id has its own if None",
        manifest="vocabulary_quantization",
    )
    normalize: bool | None = option(
        None, "whether embeddings have unit length; the model's own setting if None", manifest="normalize"
    )
    max_length: int | Literal["model"] | None = option(
        "model",
        'number of tokens kept of a text; None keeps all, "model" keeps as many as the model does',
        manifest="max_length",
    )

    semantics: Literal["model2vec", "projector", "sentence-transformers"] | None = option(
        None,
        "how to read a model that can be read in several ways: a projector, or a sentence-transformers "
        'folder with further modules or prompts. "model2vec" is what its `StaticModel` does, which ignores '
        'them; "projector" makes the output of a head without activation the embedding, as model2vec\'s '
        '`StaticModelPipeline` predicts it; "sentence-transformers" is what its `SentenceTransformer` does, '
        "which applies modules and prompts, counts unknown tokens, and keeps all tokens that tokenizer.json "
        "keeps. If None, such a model is refused, and any other is read as model2vec does",
    )

    def __post_init__(self) -> None:
        if self.semantics not in (None, *SEMANTICS):
            raise OptionError(describe_unknown("semantics", self.semantics, SEMANTICS))
        check_types(self, str, "revision", "subfolder", optional=True)
        check_types(self, (str, bool), "token", optional=True)
        check_types(self, bool, "normalize", optional=True)
        if self.subfolder is not None:
            object.__setattr__(self, "subfolder", self.subfolder.strip("/") or None)
        check_count("dim", self.dim)
        check_count("vocabulary_size", self.vocabulary_size)
        if self.max_length != "model":
            check_count("max_length", self.max_length)


def check_types(options: object, kind: type | tuple[type, ...], *names: str, optional: bool = False) -> None:
    """Check that the options of these names are a `kind`, or None if they are `optional`.

    Raises:
        OptionError: one is not; the message names it.
    """
    kinds = kind if isinstance(kind, tuple) else (kind,)
    for name in names:
        value = getattr(options, name)
        if not isinstance(value, kinds) and not (optional and value is None):
            expected = " or ".join([*(each.__name__ for each in kinds), *(["None"] if optional else [])])
            raise OptionError(f"{name} is {value!r}, expected {expected}")


def check_names(name: str, value: object, example: str) -> None:
    """Check that an option is a list of str; `example` is one that it may hold.

    Raises:
        OptionError: it is not.
    """
    if isinstance(value, (str, bytes)):
        raise OptionError(f"{name} is {value!r}, expected a list of names, such as [{value!r}]")
    if not isinstance(value, Sequence) or not all(isinstance(each, str) for each in value):
        raise OptionError(f"{name} is {value!r}, expected a list of names, such as [{example!r}]")


def check_path(name: str, value: object) -> None:
    """Check that an argument can be a path.

    Raises:
        OptionError: it is neither a str nor a path, or has a NUL in it.
    """
    if not isinstance(value, (str, os.PathLike)) or "\0" in str(value):
        raise OptionError(f"{name} is {value!r}, expected the path of a folder, or a Hub id owner/name")


def check_count(name: str, value: object, most: int = _LARGEST, *, least: int = 1) -> None:
    """Check that an option is None or a whole number from `least` to `most`.

    Raises:
        OptionError: it is not.
    """
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise OptionError(f"{name} is {value!r}, expected a whole number of {least} or more, or None")
    if value > most:
        raise OptionError(f"{name} is {value}, expected at most {most}")


@dataclass(frozen=True, kw_only=True)
class ModelOptions(ConversionOptions):
    """How to fetch a model, how to convert it if that is needed, and how to run it.

    Raises:
        OptionError: an option has a value of another type, that is unknown, or that is out of range.
    """

    dtype: str | None = option(
        None, 'type of the table that a model is converted to; "float32" if None', manifest="dtype"
    )
    force_download: bool = option(False, "whether to ask the Hub again even if the cache holds the model")
    threads: int | None = option(None, "threads to embed with; one for each core the process may use if None")
    tokenizer: str = option(
        "auto",
        'tokenizer backend: "compiled" (the artifact\'s vocabulary), "tokenizers", an accelerator such as '
        '"nanotoken" (extra `fast`), "graph" (the artifact\'s graph with text input, which it has if it '
        'was exported with one), or "auto" for the fastest of the others that there is and that gives the '
        "ids that the artifact recorded",
    )
    tokenizer_cache: int | None = option(
        None,
        "number of token ids that each of the two caches of words keeps at most; 0 keeps none; if None, "
        "2,000,000 for batches, which is 24 MB at most, and 32,768 for single texts",
    )
    providers: Sequence[str] | None = option(None, "onnxruntime execution providers; the CPU if None")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("threads", self.threads, _MOST_THREADS)
        check_count("tokenizer_cache", self.tokenizer_cache, least=0)
        check_types(self, bool, "force_download")
        check_types(self, str, "tokenizer")
        check_types(self, str, "dtype", optional=True)
        if self.providers is not None:
            check_names("providers", self.providers, "CPUExecutionProvider")
            # A tuple, so that options can be hashed.
            object.__setattr__(self, "providers", tuple(self.providers))

    @property
    def conversion(self) -> dict[str, Any]:
        """The options that change what a model is converted to, by name."""
        given = {each.name: getattr(self, each.name) for each in self.conversion_fields()}
        return {name: value for name, value in given.items() if name != "dtype" or value is not None}

    @classmethod
    def conversion_fields(cls) -> list[Field[Any]]:
        """Return the fields of the options that change what a model is converted to."""
        return [each for each in fields(cls) if each.metadata["manifest"]]


def accepts(
    options: Callable[P, Options],
) -> Callable[[Callable[[First, Second, Options], Result]], Callable[Concatenate[First, Second, P], Result]]:
    """Let callers of `function(first, second, options)` give each field of `options` as a keyword argument.

    The signature lists the fields, and so does the docstring in place of its line on options. An option is
    thus declared in one place, its class.
    """

    def decorate(
        function: Callable[[First, Second, Options], Result],
    ) -> Callable[Concatenate[First, Second, P], Result]:
        own = list(inspect.signature(function).parameters.values())[:-1]

        @wraps(function)
        def call(*args: Any, **given: Any) -> Result:
            try:
                arguments = inspect.signature(call).bind(*args, **given).arguments
            except TypeError as error:
                raise TypeError(f"{function.__qualname__}() {error}") from None
            positional = [arguments.pop(parameter.name) for parameter in own]
            return function(*positional, options(**arguments))  # type: ignore[call-arg]

        show_fields(call, function, options)
        return call

    return decorate


def show_fields(
    call: Any, function: Callable[..., Any], options: Any, renamed: Mapping[str, str] | None = None
) -> None:
    """Give `call` the signature and the docstring of `function`, with the fields of its last parameter.

    In the docstring, they replace the line on options. `renamed` maps the names of fields to those that
    callers use.
    """
    names = {each.name: (renamed or {}).get(each.name, each.name) for each in fields(options)}
    own = list(inspect.signature(function).parameters.values())[:-1]
    keywords = [
        inspect.Parameter(
            names[each.name], inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type
        )
        for each in fields(options)
    ]
    lines: list[str] = []
    for line in (function.__doc__ or "").splitlines():
        content = line.lstrip()
        if content.startswith(_PLACEHOLDER):
            indent = line[: -len(content)]
            lines += [_describe(names[each.name], each, indent) for each in fields(options)]
        else:
            lines.append(line)
    call.__signature__ = inspect.Signature([*own, *keywords])
    call.__doc__ = "\n".join(lines)


def _describe(name: str, each: Field[Any], indent: str) -> str:
    text = f"{name}: {each.metadata['doc']}."
    return textwrap.fill(text, width=110, initial_indent=indent, subsequent_indent=indent + " " * 4)
