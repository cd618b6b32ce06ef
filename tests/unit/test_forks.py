"""Objects of libraries that threads share, in a forked child."""

from __future__ import annotations

import os
import threading

import pytest

from portvec._tokenization.forks import Shared

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


def number_in_child(shared: Shared[int]) -> int:
    child = os.fork()
    if child == 0:
        os._exit(shared.use(lambda number: number))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_child_keeps_what_no_other_thread_was_using() -> None:
    numbers = iter(range(5, 9))
    shared = Shared(lambda: next(numbers))
    assert shared.use(lambda number: number) == 5
    assert number_in_child(shared) == 5
    assert shared.use(lambda _: number_in_child(shared)) == 5  # the thread that forks goes on in the child
    with pytest.raises(ZeroDivisionError):
        shared.use(lambda number: number // 0)
    assert number_in_child(shared) == 5


def test_a_child_makes_anew_what_another_thread_was_using() -> None:
    numbers = iter(range(5, 9))
    shared = Shared(lambda: next(numbers))
    inside, done = threading.Event(), threading.Event()

    def use(_: int) -> None:
        inside.set()
        done.wait(30)

    thread = threading.Thread(target=shared.use, args=(use,))
    thread.start()
    try:
        assert inside.wait(10)
        assert number_in_child(shared) == 6
        assert shared.use(lambda number: number) == 5  # the parent keeps its own
    finally:
        done.set()
        thread.join()
    assert number_in_child(shared) == 5
