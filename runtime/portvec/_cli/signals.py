"""Signals that ask a process to stop. They end a command as an exception does, so that it clears up."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from functools import partial
from types import FrameType
from typing import Any

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_handled: list[signal.Signals] = []

# A signal waits so many times, and so many seconds each, for the end of what an exception would break.
_WAITS, _PAUSE = 1000, 0.002
# Modules in which it waits. The last is called by libraries in Rust, which panic if that fails.
_MODULES = ("portvec._artifact.working_folder", "portvec._bulk.journal", "numpy.lib._version")
# Seconds in which another signal does not interrupt the clearing up.
_CLEARING_UP = 5.0


class Stopped(BaseException):
    """A signal asked the process to stop.

    Attributes:
        number: the signal.
        code: the exit code that a shell would show for it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number
        self.code = 128 + number


def stop_on_signals() -> None:
    """Raise KeyboardInterrupt on SIGINT, and `Stopped` on SIGTERM and SIGHUP.

    A signal that is ignored, as nohup does with SIGHUP, stays ignored.
    """
    _handled[:] = [each for each in _SIGNALS if signal.getsignal(each) != signal.SIG_IGN]
    _handle(_stop)
    sys.unraisablehook = _stop_again


def end_on_signals() -> None:
    """Let signals end the process at once. There is nothing left to clear up."""
    _handle(signal.SIG_DFL)


def _handle(handler: Any) -> None:
    for each in _handled:
        signal.signal(each, handler)


def _stop(number: int, frame: FrameType | None, waits: int = 0, not_before: float = 0.0) -> None:
    if time.monotonic() < not_before:
        return
    if waits < _WAITS and _must_wait(frame):
        _stop_later(number, waits + 1)
        return
    _handle(partial(_stop, not_before=time.monotonic() + _CLEARING_UP))
    raise KeyboardInterrupt if number == signal.SIGINT else Stopped(number)


def _must_wait(frame: FrameType | None) -> bool:
    """Return whether an exception would break what the process is doing.

    numpy and others raise an ImportError if their import is interrupted. A thread that was just being started
    would not be waited for, and might write into a folder that is being removed. A working folder that was
    just being made would stay.
    """
    while frame is not None:
        if (
            frame.f_code.co_filename.startswith("<frozen importlib")
            or frame.f_code is threading.Thread.start.__code__
            or frame.f_globals.get("__name__") in _MODULES
        ):
            return True
        frame = frame.f_back
    return False


def _stop_later(number: int, waits: int = 0) -> None:
    """Send the signal again, from a thread."""
    main = _thread.get_ident()

    def send() -> None:
        time.sleep(_PAUSE)
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(main, number)  # which ends a wait of the main thread, too
        else:
            signal.raise_signal(number)

    _handle(partial(_stop, waits=waits))
    _thread.start_new_thread(send, ())


def _stop_again(unraisable: Any) -> None:
    """Stop a little later if the exception was lost, because it was raised in a destructor or a callback."""
    match unraisable.exc_value:
        case Stopped(number=number):
            _stop_later(number)
        case KeyboardInterrupt():
            _stop_later(signal.SIGINT)
        case _:
            sys.__unraisablehook__(unraisable)
