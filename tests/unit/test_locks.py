"""The lock that threads, signal handlers and forked children share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from portvec._vocabulary import locks as module
from portvec._vocabulary.locks import (
    ForkSafeLock,
    begin_loading,
    end_loading,
    holds_a_lock,
    watch_forks,
)


def is_free(lock: ForkSafeLock) -> bool:
    """Return whether another thread gets the lock within a moment."""
    acquired = threading.Event()

    def acquire() -> None:
        with lock:
            acquired.set()

    thread = threading.Thread(target=acquire, daemon=True)
    thread.start()
    thread.join(0.1)
    return acquired.is_set()


@pytest.fixture(autouse=True)
def watched() -> None:
    watch_forks()


def test_one_thread_at_a_time() -> None:
    lock = ForkSafeLock()
    assert is_free(lock)
    with lock:
        assert not is_free(lock)
    assert is_free(lock)


def test_reentrant() -> None:
    lock = ForkSafeLock()
    with lock:
        with lock:
            assert not is_free(lock)
        assert not is_free(lock)
    assert is_free(lock)


def test_an_error_frees_it_and_is_passed_on() -> None:
    lock = ForkSafeLock()
    with pytest.raises(KeyError), lock:
        raise KeyError
    assert is_free(lock)


def test_a_thread_knows_whether_it_holds_one() -> None:
    lock = ForkSafeLock()
    seen: list[bool] = []

    def look() -> None:
        thread = threading.Thread(target=lambda: seen.append(holds_a_lock()))
        thread.start()
        thread.join()
        seen.append(holds_a_lock())

    look()
    with lock:
        look()
    look()
    assert seen == [False, False, False, True, False, False]


def test_one_thread_at_a_time_may_load_and_only_once() -> None:
    seen: list[bool] = []
    assert begin_loading()
    assert not begin_loading()  # as a signal handler would ask
    thread = threading.Thread(target=lambda: seen.append(begin_loading(0.01)))
    thread.start()
    thread.join()
    end_loading()
    assert seen == [False]
    assert begin_loading()
    end_loading()


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
fork_warning = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def hold(lock: ForkSafeLock, held: threading.Event, done: threading.Event) -> threading.Thread:
    """Hold a lock in another thread, from now until `done` is set."""

    def run() -> None:
        with lock:
            held.set()
            done.wait(30)

    thread = threading.Thread(target=run)
    thread.start()
    assert held.wait(10)
    return thread


def exit_code_of_child(*, alarm: int = 10) -> int:
    """Fork, and return how the child ends, in which every lock must be free."""
    locks = [lock for reference in module._locks.valuerefs() if (lock := reference())]
    child = os.fork()
    if child == 0:  # no assertion may leave the child, which would run the rest of the tests
        signal.alarm(alarm)
        for lock in locks:
            if lock is not module._loading:
                with lock:
                    pass
        os._exit(int(holds_a_lock()))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@needs_fork
@fork_warning
def test_a_fork_waits_until_the_locks_are_free() -> None:
    lock, held, done = ForkSafeLock(), threading.Event(), threading.Event()
    thread = hold(lock, held, done)
    threading.Timer(0.3, done.set).start()
    assert exit_code_of_child() == 0
    assert done.is_set()
    thread.join()
    assert is_free(lock)


@needs_fork
@fork_warning
def test_a_fork_does_not_wait_for_a_lock_that_does_not_delay_it() -> None:
    lock, held, done = ForkSafeLock(delays_forks=False), threading.Event(), threading.Event()
    thread = hold(lock, held, done)
    timer = threading.Timer(8, done.set)
    timer.start()
    assert exit_code_of_child() == 0
    assert not done.is_set()
    timer.cancel()
    done.set()
    thread.join()
    assert is_free(lock)


HOOKS_WHILE_WAITING = """
import logging, os, threading
from portvec._vocabulary.locks import ForkSafeLock, watch_forks

def register_in_another_thread():
    thread = threading.Thread(target=watch_forks)
    thread.start()
    thread.join()

os.register_at_fork(before=register_in_another_thread)
lock, held, done = ForkSafeLock(), threading.Event(), threading.Event()

def hold():
    with lock:
        held.set()
        done.wait(30)

thread = threading.Thread(target=hold)
thread.start()
held.wait(10)
child = os.fork()
if child == 0:
    os._exit(5 if lock.acquire(5) else 6)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
done.set()
"""


@needs_fork
def test_hooks_that_are_registered_while_a_thread_waits_to_fork() -> None:
    command = [sys.executable, "-W", "ignore", "-c", HOOKS_WHILE_WAITING]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (result.stdout, result.stderr) == ("5\n", "")


@needs_fork
@fork_warning
def test_a_fork_does_not_wait_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    lock, held, done = ForkSafeLock(), threading.Event(), threading.Event()
    thread = hold(lock, held, done)
    try:
        assert exit_code_of_child() == 0
        assert not is_free(lock)  # still held in the parent
    finally:
        done.set()
        thread.join()
    assert is_free(lock)


@needs_fork
@fork_warning
def test_a_child_whose_fork_could_not_wait_never_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    held, done = threading.Event(), threading.Event()
    thread = hold(module._loading, held, done)
    try:
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            os._exit(int(begin_loading()))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        done.set()
        thread.join()


@needs_fork
def test_a_thread_may_fork_while_it_holds_one() -> None:
    lock = ForkSafeLock()
    with lock:
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            os._exit(int(not lock.is_mine()))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert lock.is_mine()
    assert is_free(lock)
