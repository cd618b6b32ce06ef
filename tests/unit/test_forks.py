"""Objects of libraries that threads share, in a forked child."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from portvec._tokenization.forks import Shared

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


class Library:
    """Makes objects with a number, the first of which has 5."""

    def __init__(self) -> None:
        self._numbers = iter(range(5, 9))

    def make(self) -> Callable[[Callable[[], object]], int]:
        number = next(self._numbers)

        def method(during: Callable[[], object]) -> int:
            during()
            return number

        return method


def nothing() -> None:
    pass


def number_in_child(shared: Shared[..., int]) -> int:
    child = os.fork()
    if child == 0:
        os._exit(shared(nothing))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_child_keeps_what_no_other_thread_was_using() -> None:
    shared = Shared(Library().make)
    assert shared(nothing) == 5
    assert number_in_child(shared) == 5
    seen: list[int] = []
    shared(lambda: seen.append(number_in_child(shared)))  # the thread that forks goes on in the child
    assert seen == [5]
    with pytest.raises(ZeroDivisionError):
        shared(lambda: 1 // 0)
    assert number_in_child(shared) == 5


def test_a_child_makes_anew_what_another_thread_was_using() -> None:
    shared = Shared(Library().make)
    inside, done = threading.Event(), threading.Event()

    def stay() -> None:
        inside.set()
        done.wait(30)

    thread = threading.Thread(target=shared, args=(stay,))
    thread.start()
    try:
        assert inside.wait(10)
        assert number_in_child(shared) == 6
        assert shared(nothing) == 5  # the parent keeps its own
    finally:
        done.set()
        thread.join()
    assert number_in_child(shared) == 5
