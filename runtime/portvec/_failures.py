"""Failures of libraries, including those written in Rust, as errors of portvec."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from portvec._messages import fold_lines
from portvec.errors import PortvecError


def is_failure(error: BaseException) -> bool:
    """Return whether an error says that a library failed, rather than that the process should stop.

    A library written in Rust may panic. pyo3 raises a panic as a BaseException, which `except Exception` lets
    pass. Each library has a class of its own for it, so that only the name tells. KeyboardInterrupt and
    SystemExit are no failures, and the lack of memory is not the fault of what a library was given.
    """
    if isinstance(error, Exception):
        return not isinstance(error, MemoryError)
    return type(error).__name__ == "PanicException"


@contextmanager
def failures_become(
    describe: Callable[[str], PortvecError], read: Callable[[BaseException], str] = fold_lines
) -> Iterator[None]:
    """Raise what `describe` returns for the message of a failure. portvec's own errors pass.

    Args:
        describe: returns the error for a message of one line.
        read: returns the message of a failure.

    Raises:
        PortvecError: what `describe` returned.
    """
    try:
        yield
    except PortvecError:
        raise
    except BaseException as error:
        if not is_failure(error):
            raise
        raise describe(read(error)) from error
