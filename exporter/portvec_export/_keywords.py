"""Functions that take the fields of an options class as keyword arguments."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import field, fields
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
Options = TypeVar("Options")
First = TypeVar("First")
Second = TypeVar("Second")
Result = TypeVar("Result")

_PLACEHOLDER = "options: "


def option(default: Any, doc: str) -> Any:
    """Return a field of an options class; `doc` becomes part of the functions that take the options."""
    return field(default=default, metadata={"doc": doc})


def accepts(
    options: Callable[P, Options],
) -> Callable[[Callable[[First, Second, Options], Result]], Callable[Concatenate[First, Second, P], Result]]:
    """Let callers of `function(first, second, options)` give each field of `options` as a keyword argument.

    The signature lists the fields, and so does the docstring in place of its line on options: an option is
    declared in one place, its class.
    """

    def decorate(
        function: Callable[[First, Second, Options], Result],
    ) -> Callable[Concatenate[First, Second, P], Result]:
        own = list(inspect.signature(function).parameters.values())[:-1]
        declared = fields(options)  # type: ignore[arg-type]
        keywords = [
            inspect.Parameter(
                each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type
            )
            for each in declared
        ]
        signature = inspect.signature(function).replace(parameters=[*own, *keywords])

        @wraps(function)
        def call(*args: Any, **given: Any) -> Result:
            try:
                arguments = signature.bind(*args, **given).arguments
            except TypeError as error:
                raise TypeError(f"{function.__qualname__}() {error}") from None
            positional = [arguments.pop(parameter.name) for parameter in own]
            return function(*positional, options(**arguments))  # type: ignore[call-arg]

        lines: list[str] = []
        for line in (function.__doc__ or "").splitlines():
            if line.lstrip().startswith(_PLACEHOLDER):
                indent = " " * (len(line) - len(line.lstrip()))
                lines += [_describe(each.name, each.metadata["doc"], indent) for each in declared]
            else:
                lines.append(line)
        call.__doc__ = "\n".join(lines)
        call.__signature__ = signature  # type: ignore[attr-defined]
        return call

    return decorate


def _describe(name: str, doc: str, indent: str) -> str:
    text = f"{name}: {doc}."
    return textwrap.fill(text, width=110, initial_indent=indent, subsequent_indent=indent + " " * 4)
