"""Locks that threads, signal handlers and forked children share."""

from __future__ import annotations

import codecs
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from time import monotonic
from types import TracebackType
from weakref import WeakValueDictionary

# Python imports a codec when it is used first, where no lock is held and no fork waits for it.
for _name in ("utf-16-le", "utf-32-le"):
    codecs.lookup(_name)

# How many seconds a fork waits at most. The thread that it waits for may itself wait for the one that forks.
_PATIENCE = 10.0


class ForkSafeLock:
    """A reentrant lock that is free in a forked child.

    A fork waits until other threads have released it. A plain lock that another thread holds at the fork
    stays locked in the child, where that thread does not exist, and what it protects stays half done. A lock
    that protects nothing need not delay forks: the child just gets a new one.

    It is reentrant because a signal handler may run in the thread that holds it. Call `watch_forks` before a
    thread holds one.
    """

    def __init__(self, *, delays_forks: bool = True) -> None:
        self._lock = threading.RLock()
        self.delays_forks = delays_forks
        _locks[id(self)] = self

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def acquire(self, seconds: float = 0.0) -> bool:
        """Return whether this thread gets the lock in that time."""
        return self._lock.acquire(timeout=seconds)

    def release(self) -> None:
        """Release it once."""
        self._lock.release()

    def is_mine(self) -> bool:
        """Return whether this thread holds it."""
        mine: bool = self._lock._is_owned()  # type: ignore[attr-defined]  # as threading.Condition does
        return mine

    def renew(self) -> None:
        """Replace the lock with a free one."""
        self._lock = threading.RLock()


# A list of its references is made in one step, whatever other threads add or drop meanwhile.
_locks: WeakValueDictionary[int, ForkSafeLock] = WeakValueDictionary()
_loading = ForkSafeLock()


class _Taken(threading.local):
    """The locks that a forking thread has taken.

    It has none if another thread registered the hooks while it waited to fork.
    """

    locks: Sequence[ForkSafeLock] = ()


_taken = _Taken()


def begin_loading(seconds: float = 0.0) -> bool:
    """Return whether this thread may import modules and load libraries now. It must then call `end_loading`.

    It may not while another thread does, which it waits for so many seconds, nor in a signal handler that has
    interrupted its own loading, where a module may be half imported. In a forked child, Python's own locks of
    imports stay locked, so a fork waits until loading ends.
    """
    watch_forks()
    return not _loading.is_mine() and _loading.acquire(seconds)


@contextmanager
def loading() -> Iterator[None]:
    """Load something without which this thread cannot go on. A fork waits for it.

    So it does not wait for ever for another thread, nor does it refuse in a signal handler.
    """
    may_load = begin_loading(_PATIENCE)
    try:
        yield
    finally:
        if may_load:
            end_loading()


def end_loading() -> None:
    """Let other threads load."""
    _loading.release()


def holds_a_lock() -> bool:
    """Return whether this thread holds any of these locks, and so must not wait for another thread.

    That is so in a signal handler that has interrupted a call of portvec.
    """
    return any(lock.is_mine() for lock in _list_locks())


def _list_locks() -> list[ForkSafeLock]:
    return [lock for reference in _locks.valuerefs() if (lock := reference()) is not None]


def _take_all() -> None:
    _taken.locks = taken = []
    end = monotonic() + _PATIENCE
    # The oldest first, which is _loading. No thread takes an older one while it holds a newer one.
    for lock in _list_locks():
        if lock.acquire(max(0.0, end - monotonic()) if lock.delays_forks else 0.0):
            taken.append(lock)


def _release_all() -> None:
    for lock in _taken.locks:
        lock.release()


def _renew_others() -> None:
    for lock in _list_locks():
        # If loading was not waited for, the child never loads anything, rather than hang in an import.
        if lock not in _taken.locks and lock is not _loading:
            lock.renew()
    _release_all()


@cache
def watch_forks() -> None:
    """Have forks wait for these locks from now on.

    Hooks for the moment before a fork run in reverse order. That of logging takes a lock which a thread that
    loads something may need, so it must run after ours. Importing logging at the start would delay the first
    vector.
    """
    import logging  # noqa: F401

    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(before=_take_all, after_in_parent=_release_all, after_in_child=_renew_others)
