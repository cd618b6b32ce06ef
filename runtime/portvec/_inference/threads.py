"""A pool of threads that runs calls."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

_T = TypeVar("_T")


class Threads:
    """A pool that starts when it is first needed. With a `count` of one, calls run in the caller's thread.

    A forked child has none of its parent's threads, so it starts its own.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._executor: Executor | None = None
        self._process = 0

    def run(self, calls: Iterable[Callable[[], _T]], *, ahead: int = sys.maxsize) -> list[_T]:
        """Return the results of `calls` in order. At most `ahead` of them are submitted but not finished."""
        if self.count == 1:
            return [call() for call in calls]
        executor = self._start()
        results: list[_T] = []
        pending: deque[Future[_T]] = deque()
        try:
            for call in calls:
                pending.append(executor.submit(call))
                if len(pending) >= ahead:
                    results.append(pending.popleft().result())
            results += [future.result() for future in pending]
        finally:  # after an error or Ctrl-C, do not start the calls that are left
            for future in pending:
                future.cancel()
        return results

    def _start(self) -> Executor:
        """Return the pool of this process."""
        if self._executor is None or self._process != os.getpid():
            from concurrent.futures import ThreadPoolExecutor  # slow to import, and often not needed

            self._executor = ThreadPoolExecutor(self.count, thread_name_prefix="portvec")
            self._process = os.getpid()
        return self._executor
