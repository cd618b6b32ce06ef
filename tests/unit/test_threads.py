"""Threads that share calls: results in order, bounded work ahead, nothing started after an error."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from portvec._inference.threads import Threads


def here() -> int:
    return threading.get_ident()


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("ahead", [1, 2, 4, 100])
def test_results_are_in_order(count: int, ahead: int) -> None:
    def wait(number: int) -> Callable[[], int]:
        def call() -> int:
            time.sleep(0.001 * (7 * number % 5))
            return number

        return call

    threads = Threads(count)
    assert threads.run([wait(number) for number in range(20)], ahead=ahead) == list(range(20))
    assert threads.run(iter([]), ahead=ahead) == []


def test_one_thread_is_the_caller() -> None:
    assert set(Threads(1).run([here] * 5)) == {here()}
    assert here() not in Threads(2).run([here] * 5)


def test_all_threads_run_at_the_same_time() -> None:
    barrier = threading.Barrier(3)
    assert sorted(Threads(3).run([lambda: barrier.wait(10)] * 3)) == [0, 1, 2]


def test_threads_are_kept() -> None:
    threads = Threads(2)
    barrier = threading.Barrier(2)

    def meet() -> int:
        barrier.wait(10)
        return here()

    first, second = (set(threads.run([meet] * 2)) for _ in range(2))
    assert first == second
    assert len(first) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process")  # Python 3.12 warns of forks beside threads
def test_a_forked_child_starts_its_own() -> None:
    threads = Threads(2)
    barrier = threading.Barrier(2)
    threads.run([lambda: barrier.wait(10)] * 2)  # both have started
    child = os.fork()
    if child == 0:
        os._exit(0 if threads.run([lambda: 5] * 3) == [5, 5, 5] else 3)
    deadline = time.monotonic() + 20
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    if ended == (0, 0):
        os.kill(child, 9)
        os.waitpid(child, 0)
        pytest.fail("the child waits for threads of its parent")
    assert ended[1] == 0


@pytest.mark.parametrize("ahead", [1, 3, 7])
def test_takes_so_many_ahead(ahead: int) -> None:
    taken = 0

    def first() -> int:
        deadline = time.monotonic() + 10
        while taken < ahead and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.05)  # time enough to take more
        return taken

    def calls() -> Iterator[Callable[[], int]]:
        nonlocal taken
        for call in [first, *[here] * 20]:
            taken += 1
            yield call

    assert Threads(2).run(calls(), ahead=ahead)[0] == ahead
    assert taken == 21


def test_calls_that_are_left_are_not_started_after_an_error() -> None:
    submitted = threading.Event()
    ran: list[int] = []

    def fail() -> None:
        submitted.wait(10)
        raise KeyError

    def go_on() -> None:
        ran.append(1)
        time.sleep(0.02)

    def calls() -> Iterator[Callable[[], None]]:
        yield fail
        yield from [go_on] * 60
        submitted.set()

    with pytest.raises(KeyError):
        Threads(2).run(calls())
    assert len(ran) < 60
