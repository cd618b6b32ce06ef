"""A pool of threads that runs calls."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from portvec._vocabulary.locks import begin_loading, end_loading, holds_a_lock

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

_T = TypeVar("_T")

# Seconds to wait for another thread that loads something. Then the work starts without a pool.
_PATIENCE = 1.0
# Whether a thread is inside `Threads.run`.
_state = threading.local()


class Threads:
    """A pool that starts when it is first needed. With a `count` of one, calls run in the caller's thread.

    So do they where a pool could not help: while Python shuts down, which starts no more threads; and in a
    signal handler that has interrupted a call of portvec, since the pool's threads could wait for a lock
    which that call holds.

    A forked child has none of its parent's threads, so it starts its own.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._executor: Executor | None = None
        self._process = 0

    def run(self, calls: Iterable[Callable[[], _T]], *, ahead: int = sys.maxsize) -> list[_T]:
        """Return the results of `calls` in order. At most `ahead` of them are submitted but not finished."""
        if self.count == 1 or getattr(_state, "is_inside", False) or holds_a_lock():
            return [call() for call in calls]
        _state.is_inside = True
        try:
            return self._run(calls, ahead)
        finally:
            _state.is_inside = False

    def _run(self, calls: Iterable[Callable[[], _T]], ahead: int) -> list[_T]:
        executor = self._start()
        if executor is None:
            return [call() for call in calls]
        results: list[_T] = []
        pending: deque[Future[_T]] = deque()
        try:
            for call in calls:
                pending.append(_submit(executor, call))
                if len(pending) >= ahead:
                    results.append(pending.popleft().result())
            results += [future.result() for future in pending]
        finally:  # after an error or Ctrl-C, do not start the calls that are left
            for future in pending:
                future.cancel()
        return results

    def _start(self) -> Executor | None:
        """Return the pool of this process, or None if it cannot start now."""
        if self._executor is None or self._process != os.getpid():
            if not begin_loading(_PATIENCE):
                return None
            try:
                from concurrent.futures import ThreadPoolExecutor  # slow to import, and often not needed
            except RuntimeError:  # Python is shutting down
                return None
            finally:
                end_loading()
            self._executor = ThreadPoolExecutor(self.count, thread_name_prefix="portvec")
            self._process = os.getpid()
        return self._executor


def _submit(executor: Executor, call: Callable[[], _T]) -> Future[_T]:
    """Have the pool run a call, or run it here if Python is shutting down."""
    try:
        return executor.submit(call)
    except RuntimeError:
        from concurrent.futures import Future

        done: Future[_T] = Future()
        done.set_result(call())
        return done
