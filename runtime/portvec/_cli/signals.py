"""Signals that ask a process to stop. They end a command as Ctrl-C does, so that it clears up."""

from __future__ import annotations

import signal
from types import FrameType

_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopped(BaseException):
    """A signal asked the process to stop.

    Attributes:
        code: the exit code that a shell would show for it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.code = 128 + number


def stop_on_signals() -> None:
    """Raise `Stopped` on SIGTERM and SIGHUP, unless they are ignored, as nohup does with SIGHUP."""
    for each in _SIGNALS:
        if signal.getsignal(each) is signal.SIG_DFL:
            signal.signal(each, _stop)


def _stop(number: int, _frame: FrameType | None) -> None:
    for each in _SIGNALS:  # a second one must not interrupt the removing
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)
