"""A cluster of Ray: connecting to it, or starting one on this machine, and running functions on it.

Apart from Ray's datasets, whose import takes a second.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final, TypeVar

from portvec._messages import fold_lines
from portvec.errors import FileError, OptionError, PortvecError
from portvec.integrations._common import missing_extra
from portvec.integrations._engines import check_number
from portvec.integrations._shares import Share, ShareCounts, ShareEmbedder
from portvec.integrations._to_folder import RunShares

try:
    import ray
except ImportError as error:
    raise missing_extra("ray", "ray", error) from error

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")

# How often a task is started again after its machine was lost, or its process died.
_RETRIES: Final = 10
# How many tasks Ray knows of at a time. More would make it slower to find the next one that is done.
_TASKS: Final = 4096
# Bytes of the store of objects that Ray needs at least. What goes through it here is small.
_STORE: Final = 80 << 20


def run_on_cluster(address: str | None = None, workers: int | None = None) -> RunShares:
    """Return what has a cluster embed shares of Parquet files.

    Raises:
        OptionError: `workers` is not 1 or more.
    """
    check_number("workers", workers)

    def run(work: ShareEmbedder, shares: list[Share]) -> Generator[ShareCounts, None, None]:
        with cluster(address):
            yield from run_tasks(work, shares, workers)

    return run


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """Connect to a cluster, or start one that ends with the block. A connection that exists is used.

    Raises:
        OptionError: no cluster answers at the address, or one is connected already.
    """
    if ray.is_initialized():
        if address is not None:
            raise OptionError(
                f"address is {address!r}, and Ray is connected to a cluster already; leave it out, or call "
                "ray.shutdown() before"
            )
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    local: dict[str, Any] = {"include_dashboard": False, "object_store_memory": _STORE}
    try:
        try:
            _check_answers(address)
            ray.init(
                address,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                **(local if address == "local" else {}),
            )
        except (OSError, RuntimeError, ValueError) as error:
            problem = f"address is {address!r}, where no Ray cluster answers ({fold_lines(error)})"
            raise OptionError(problem) from error
        if not ray.cluster_resources().get("CPU"):  # machines may join
            _LOG.warning("the Ray cluster has no CPU, and nothing is embedded until it has one")
        yield
    finally:
        ray.shutdown()


def run_tasks(work: Callable[[T], R], items: Iterable[T], most: int | None = None) -> Iterator[R]:
    """Call `work` with each item on the cluster, and yield what it returns, in any order.

    A call takes one CPU. It is repeated if its process dies or its machine is lost.

    Args:
        work: what to call. It is sent to each process once.
        items: what to call it with.
        most: number of calls at a time; as many as the cluster has CPUs if None.

    Raises:
        PortvecError: what `work` raised.
        FileError: it raised something else, or died again and again.
    """
    call: Any = ray.remote(num_cpus=1, max_retries=_RETRIES)(_call).options(name="portvec")
    sent = ray.put(work)
    waiting = (call.remote(sent, item) for item in items)
    running = list(islice(waiting, most or _TASKS))
    try:
        while running:
            (done,), running = ray.wait(running)
            yield _result(done)
            running.extend(islice(waiting, 1))
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def _call(work: Callable[[T], R], item: T) -> R:
    return work(item)


def _result(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, PortvecError):
            raise cause from error
        raise FileError(f"Ray could not embed the rows ({fold_lines(cause or error)[-300:]})") from error


def _check_answers(address: str) -> None:
    """Check that something listens at the address. Ray itself would try for minutes.

    Raises:
        OSError: nothing does.
    """
    host_and_port = re.fullmatch(r"(?:\w+://)?\[?([^/]+?)\]?:(\d+)", address)
    if host_and_port:
        socket.create_connection((host_and_port[1], int(host_and_port[2])), timeout=10).close()
