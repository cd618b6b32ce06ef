"""A graph's sessions in onnxruntime, for several threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from portvec._vocabulary.locks import begin_loading, end_loading, holds_a_lock

_Session = TypeVar("_Session")

# Seconds to wait for another thread that imports onnxruntime or loads a session.
_PATIENCE = 10.0


class Sessions(Generic[_Session]):
    """Sessions of a graph, one for each thread that runs it at the same time.

    onnxruntime would pass the buffers of a shared one, which are in a core's cache, from core to core: a
    sixth slower with two threads. And after a fork, a session that another thread was running would hang: its
    locks stay locked. A fork waits until no thread imports onnxruntime or loads a session.
    """

    def __init__(self, load: Callable[[], _Session]) -> None:
        """Have `load` import onnxruntime and load a session, whenever there are too few."""
        self._load = load
        self._idle: list[_Session] = []

    def load(self) -> None:
        """Load a session, for the first run."""
        session = self._make(wait=True)
        assert session is not None
        self._idle.append(session)

    def take(self, *, wait: bool) -> _Session | None:
        """Return a session that no other thread runs now, and that must be given back.

        None if that takes loading one, and this is a signal handler which has interrupted loading, or another
        thread loads for too long. With `wait`, the session is loaded even so.
        """
        try:
            return self._idle.pop()
        except IndexError:
            return self._make(wait=wait)

    def give_back(self, session: _Session) -> None:
        """Let others have a session."""
        self._idle.append(session)

    def _make(self, *, wait: bool) -> _Session | None:
        may_load = begin_loading(0.0 if holds_a_lock() else _PATIENCE)
        if not may_load and not wait:
            return None
        try:
            return self._load()
        finally:
            if may_load:
                end_loading()
