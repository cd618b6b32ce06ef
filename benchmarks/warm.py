"""Measure throughput and single queries of loaded implementations that have seen the texts before."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.contenders import REFERENCE, Contender
from benchmarks.timing import spread
from portvec._cli.bench.client import Worker
from portvec._cli.bench.measure import agree

_PEERS = Path(__file__).with_name("peers.py")


def measure(
    contenders: Sequence[Contender],
    sets: dict[str, list[str]],
    threads: int,
    *,
    rounds: int,
    seconds: float,
    queries: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield a result for each contender and set of texts.

    Vectors are compared with model2vec's first. If portvec's differ, this raises. For a peer,
    the result holds the share of texts that agree.

    Args:
        contenders: the implementations; they take turns, each in a process of its own.
        sets: texts by name.
        threads: cores that each may use.
        rounds: number of turns.
        seconds: duration of a turn, which has at least one pass.
        queries: whether to time single texts of the first set too, as a set named "queries".

    Raises:
        AssertionError: a vector of portvec differs from model2vec's.
    """
    with ExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "texts.json"
        path.write_text(json.dumps(sets), encoding="utf-8")
        workers = {
            contender.name: stack.enter_context(
                Worker(
                    contender.name,
                    contender.loader,
                    {**contender.options, "threads": threads},
                    path,
                    threads=threads,
                    loaders=_PEERS,
                )
            )
            for contender in contenders
        }
        for name, texts in sets.items():
            reference = workers[REFERENCE].vectors(name)
            agreement = {
                label: _agreement(label, worker, name, reference) for label, worker in workers.items()
            }
            times: dict[str, list[float]] = {label: [] for label in workers}
            for _ in range(rounds):
                for label, worker in workers.items():
                    times[label] += worker.run(name, seconds)
            for label, passes in times.items():
                yield {
                    "contender": label,
                    "threads": threads,
                    "texts": name,
                    "agreement": agreement[label],
                    "texts_per_second": spread([len(texts) / each for each in passes]),
                }
        if queries:
            yield from _queries(workers, next(iter(sets)), threads, rounds, seconds)


def _agreement(label: str, worker: Worker, texts: str, reference: npt.NDArray[np.float32]) -> float:
    """Return the share of texts whose vector equals the reference's. This is also an untimed first pass."""
    exact = worker.facts.get("exact", True)
    share = float(agree(reference, worker.vectors(texts), exact).mean())
    if label.startswith("portvec") and share < 1:
        raise AssertionError(f"{label}: {1 - share:.2%} of the vectors of {texts} are not model2vec's")
    return share


def _queries(
    workers: dict[str, Worker], texts: str, threads: int, rounds: int, seconds: float
) -> Iterator[dict[str, Any]]:
    times: dict[str, list[float]] = {label: [] for label in workers}
    for _ in range(rounds):
        for label, worker in workers.items():
            times[label] += worker.queries(texts, seconds)
    for label, found in times.items():
        yield {
            "contender": label,
            "threads": threads,
            "texts": "queries",
            "agreement": 1.0,
            "query_seconds": {
                "p50": float(np.percentile(found, 50)),
                "p99": float(np.percentile(found, 99)),
                "repeats": len(found),
            },
        }
