"""Stand-ins for the frameworks, so that the docstrings of portvec.integrations can be read without them.

Sphinx's autodoc_mock_imports does not suit: it replaces classes that a framework decorates with mocks.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class _Anything(type):
    """A class whose attributes are stand-ins too."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _stand_in(name)


def _stand_in(name: str) -> type:
    """Return a class that can be a base, a generic, a value, a decorator or a decorator factory."""

    def new(cls: type, *args: Any, **options: Any) -> Any:
        if cls.__name__ != name:  # of a subclass: an ordinary object
            return object.__new__(cls)
        return args[0] if args and not isinstance(args[0], str) else _unchanged

    def show_own_signature(cls: type) -> None:
        cls.__signature__ = inspect.signature(functools.partial(cls.__init__, None))  # type: ignore[misc]

    methods = {
        "__new__": new,
        "__class_getitem__": classmethod(lambda cls, item: cls),
        "__init_subclass__": classmethod(show_own_signature),
    }
    return _Anything(name, (), methods)


def _unchanged(decorated: Any) -> Any:
    return decorated


class _Framework(ModuleType):
    """A module that has every name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _stand_in(name)


class _Finder:
    """Finds every module of the frameworks."""

    def __init__(self, packages: Iterable[str]) -> None:
        self._packages = set(packages)

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        if name.partition(".")[0] not in self._packages:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]

    def create_module(self, spec: Any) -> ModuleType:
        return _Framework(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: there is no code."""


@contextmanager
def stand_ins(packages: Iterable[str]) -> Iterator[Callable[[str], ModuleType]]:
    """Replace packages with stand-ins; yield a function that imports a module that needs them."""
    finder = _Finder(packages)
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if finder.find_spec(name)}
    sys.meta_path.insert(0, finder)  # type: ignore[arg-type]
    try:
        yield importlib.import_module
    finally:
        sys.meta_path.remove(finder)  # type: ignore[arg-type]
        for name in [name for name in sys.modules if finder.find_spec(name)]:
            del sys.modules[name]
        sys.modules.update(hidden)
