"""What libraries need when a process forks."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import get_ident
from typing import Any, Generic, TypeVar
from weakref import WeakSet

_VARIABLE = "TOKENIZERS_PARALLELISM"

_T = TypeVar("_T")
_R = TypeVar("_R")


class Shared(Generic[_T]):
    """An object of a library that threads use at the same time, and that survives a fork.

    What another thread had locked inside the library at the fork stays locked in the child. The child then
    makes a new object at its next use.
    """

    def __init__(self, make: Callable[[], _T]) -> None:
        self._make = make
        self._object: _T | None = make()
        self._users: list[int] = []
        _all_shared.add(self)

    def use(self, function: Callable[[_T], _R]) -> _R:
        """Return what `function` returns for the object."""
        shared = self._object
        if shared is None:
            self._object = shared = self._make()
        me = get_ident()
        self._users.append(me)
        try:
            return function(shared)
        finally:
            self._users.remove(me)

    def renew(self) -> None:
        """In a forked child, drop the object if a thread was using it that the child does not have."""
        me = get_ident()
        others = [user for user in self._users if user != me]
        if others:
            self._object = None
        self._users = [user for user in self._users if user == me]


_all_shared: WeakSet[Shared[Any]] = WeakSet()


def _renew_shared() -> None:
    for shared in _all_shared:
        shared.renew()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_shared)


def disable_pool_after_fork() -> None:
    """Keep `tokenizers` from using its thread pool in a forked child, where the threads do not exist.

    The library does the same, but with a warning. A value that the user set for its environment variable is
    respected.
    """
    if not hasattr(os, "register_at_fork"):  # Windows
        return
    unset: list[bool] = []

    def before() -> None:
        unset.append(_VARIABLE not in os.environ)
        if unset[-1]:
            os.environ[_VARIABLE] = "false"

    def after_in_parent() -> None:
        if unset.pop():
            os.environ.pop(_VARIABLE, None)

    os.register_at_fork(before=before, after_in_parent=after_in_parent)
