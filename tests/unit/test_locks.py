"""The lock that threads, signal handlers and forked children share."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from portvec._tokenization.locks import ForkSafeLock


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_every_lock_is_free_in_a_forked_child() -> None:
    locks = [ForkSafeLock() for _ in range(3)]
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with locks[0], locks[2]:
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(10)
        child = os.fork()
        if child == 0:  # no assertion may leave the child, which would run the rest of the tests
            signal.alarm(10)
            for lock in locks:
                with lock:
                    pass
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert not is_free(locks[0])  # still held in the parent
    finally:
        done.set()
        thread.join()
    assert os.waitstatus_to_exitcode(status) == 0
