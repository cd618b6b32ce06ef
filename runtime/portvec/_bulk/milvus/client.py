"""A connection to Milvus: errors on one line, and requests that are sent again.

pymilvus is imported where it is needed, because that takes a second.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import version
from typing import Any, Final, TypeVar

from portvec._bulk.milvus.target import is_file, split_credentials
from portvec._failures import failures_become
from portvec._messages import fold_lines, install
from portvec.errors import FileError, MissingExtraError

T = TypeVar("T")

# Seconds until a request fails. pymilvus itself tries again in this time if the server is away.
TIMEOUT: Final = 60.0
# Seconds to wait before each further attempt: with the requests themselves, five minutes.
_WAITS: Final = (1.0, 2.0, 4.0, 8.0)
_TRANSIENT: Final = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED")  # states of gRPC
_RATE_LIMIT: Final = 8  # a code of Milvus


def takes_null(uri: str) -> bool:
    """Return whether fields may be null. Before version 3, a file of Milvus Lite has no such fields."""
    return not is_file(uri) or int(version("milvus-lite").partition(".")[0]) >= 3


def connect(uri: str, token: str | None) -> Any:
    """Return a client of pymilvus.

    Raises:
        FileError: Milvus cannot be reached.
        MissingExtraError: pymilvus or milvus-lite is not installed.
    """
    try:
        from pymilvus import MilvusClient

        if is_file(uri):
            import milvus_lite  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f"Milvus needs {error.name}, which cannot be imported ({error}); {install('milvus')}"
        ) from error
    address, found = split_credentials(uri)
    remedy = "check the address and the credentials"
    if is_file(uri):
        remedy = "is its folder there, and has no other process opened it?"

    with _reports_become(lambda reason: FileError(f"{address}: cannot be opened ({reason}); {remedy}")):
        return MilvusClient(address, token=token or found or "")


def requests(name: str) -> AbstractContextManager[None]:
    """Raise what Milvus reports about the collection `name` as an error of portvec.

    Raises:
        FileError: a request failed.
    """
    return _reports_become(lambda reason: FileError(f"{name}: Milvus reports an error ({reason})"))


def retry(call: Callable[[], T], sleep: Callable[[float], object] = time.sleep) -> T:
    """Return what a request returns. If the server is away or busy, wait longer each time and try again.

    Raises:
        Exception: what the request raised, at once if trying again cannot help, or at the end.
    """
    for wait in _WAITS:
        try:
            return call()
        except Exception as error:
            if not _is_transient(error):
                raise
        sleep(wait)
    return call()


def find_vectors(fields: Iterable[Any]) -> dict[str, int]:
    """Return the dimensions of a collection's fields of float vectors, by name."""
    return {
        field["name"]: int(field["params"]["dim"]) for field in fields if field["type"].name == "FLOAT_VECTOR"
    }


def _is_transient(error: Exception) -> bool:
    code = _read(error, "code")
    is_retriable = bool(getattr(error, "retriable", False))  # what servers say since Milvus 2.3
    return is_retriable or code == _RATE_LIMIT or getattr(code, "name", None) in _TRANSIENT


def _read(error: BaseException, name: str) -> Any:
    """Return an attribute, which is a method in the errors of gRPC and none in those of pymilvus."""
    value = getattr(error, name, None)
    return value() if callable(value) else value


def _reason(error: BaseException) -> str:
    """Return what an error says, on one line."""
    message = _read(error, "message") or _read(error, "details")
    return " ".join(str(message).split()) if message else fold_lines(error) or type(error).__name__


@contextmanager
def _reports_become(describe: Callable[[str], FileError]) -> Iterator[None]:
    """Raise an error for what Milvus's packages raise, and keep them from printing its traceback too."""
    loggers = [logging.getLogger(name) for name in ("pymilvus", "milvus_lite")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with failures_become(describe, _reason):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
