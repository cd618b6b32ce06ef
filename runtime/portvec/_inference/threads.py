"""A pool of threads that runs calls."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from portvec._vocabulary.locks import begin_loading, end_loading, holds_a_lock

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

_T = TypeVar("_T")

# Seconds to wait for another thread that loads something. Then the work starts without a pool.
_PATIENCE = 1.0
# Whether a thread is inside `Threads.run` or `Threads.stream`.
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
        if self._is_alone():
            return [call() for call in calls]
        with _inside():
            return list(self._share(calls, ahead))

    def stream(self, calls: Iterable[Callable[[], _T]], *, ahead: int) -> Iterator[_T]:
        """Yield the results of `calls` in order. At most `ahead` of them wait to be yielded."""
        if self._is_alone():
            yield from (call() for call in calls)
            return
        with closing(self._share(calls, ahead)) as results:
            while True:
                with (
                    _inside()
                ):  # not while the caller has a result, and may want this pool for something else
                    found = list(islice(results, 1))
                if not found:
                    return
                yield found[0]

    def _is_alone(self) -> bool:
        return self.count == 1 or getattr(_state, "is_inside", False) or holds_a_lock()

    def _share(self, calls: Iterable[Callable[[], _T]], ahead: int) -> Generator[_T, None, None]:
        executor = self._start()
        if executor is None:
            yield from (call() for call in calls)
            return
        pending: deque[Future[_T]] = deque()
        failure: Exception | None = None
        rest = iter(calls)
        try:
            while True:
                try:
                    call = next(rest, None)
                except Exception as error:  # the results of the calls before come first
                    failure = error
                    break
                if call is None:
                    break
                pending.append(_submit(executor, call))
                if len(pending) >= ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:  # after an error or Ctrl-C, do not start the calls that are left
            for future in pending:
                future.cancel()
        if failure is not None:
            raise failure

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


@contextmanager
def _inside() -> Iterator[None]:
    """Let calls of portvec that interrupt this one do without a pool."""
    before = getattr(_state, "is_inside", False)
    _state.is_inside = True
    try:
        yield
    finally:
        _state.is_inside = before


def _submit(executor: Executor, call: Callable[[], _T]) -> Future[_T]:
    """Have the pool run a call, or run it here if Python is shutting down."""
    try:
        return executor.submit(call)
    except RuntimeError:
        from concurrent.futures import Future

        done: Future[_T] = Future()
        done.set_result(call())
        return done
