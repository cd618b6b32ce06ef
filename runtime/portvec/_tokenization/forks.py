"""What libraries need when a process forks."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import get_ident
from typing import Any, Generic, ParamSpec, TypeVar
from weakref import WeakSet

_VARIABLE = "TOKENIZERS_PARALLELISM"

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Shared(Generic[_P, _R]):
    """A method of a library's object, which threads call at the same time, and which survives a fork.

    What another thread had locked inside the library at the fork stays locked in the child. The child then
    makes a new object for its next call.
    """

    def __init__(self, make: Callable[[], Callable[_P, _R]]) -> None:
        """Keep what `make` returns: a method of a new object."""
        self._make = make
        self._method: Callable[_P, _R] | None = make()
        self._callers: list[int] = []
        _all_shared.add(self)

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Call the method."""
        method = self._method
        if method is None:
            self._method = method = self._make()
        caller = get_ident()
        self._callers.append(caller)
        try:
            return method(*args, **kwargs)
        finally:
            self._callers.remove(caller)

    def renew(self) -> None:
        """In a forked child, drop the object if a thread was using it that the child does not have."""
        mine = [caller for caller in self._callers if caller == get_ident()]
        if len(mine) < len(self._callers):
            self._method = None
        self._callers = mine


_all_shared: WeakSet[Shared[Any, Any]] = WeakSet()


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
        # Another thread may have registered these functions while this one waited to fork.
        if unset and unset.pop():
            os.environ.pop(_VARIABLE, None)

    os.register_at_fork(before=before, after_in_parent=after_in_parent)
