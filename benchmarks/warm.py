"""Measure throughput and single queries of implementations that are loaded once."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
import numpy as np
import numpy.typing as npt

from benchmarks import texts
from benchmarks.contenders import PEERS, REFERENCE, Contender
from benchmarks.timing import spread
from portvec._cli.bench.client import Worker
from portvec._cli.bench.measure import agree

_LOADERS = Path(__file__).with_name("peers.py")
# A worker asks no more single texts than this in a turn, so none is asked twice.
_QUERIES = 20_000
_Arguments = ParamSpec("_Arguments")
_Value = TypeVar("_Value")


def throughput(
    contenders: Sequence[Contender],
    sets: Mapping[str, list[str]],
    threads: int,
    *,
    rounds: int,
    seconds: float,
) -> Iterator[dict[str, Any]]:
    """Yield a result for each contender and set of texts, which it has seen before.

    Vectors are compared with model2vec's first. If portvec's differ, this raises. For a peer,
    the result holds the share of texts that agree, or why it failed.

    Args:
        contenders: the implementations; they take turns, each in a process of its own.
        sets: texts by name.
        threads: cores that each may use.
        rounds: number of turns.
        seconds: duration of a turn, which has at least one pass.

    Raises:
        AssertionError: a vector of portvec differs from model2vec's.
        click.ClickException: portvec or model2vec failed.
    """
    with _Workers(contenders, sets, threads) as workers:
        for name, found in sets.items():
            reference = workers.reference(name)
            agreement = {label: workers.ask(label, _agreement, name, reference) for label in workers.names}
            times: dict[str, list[float]] = {label: [] for label in workers.names}
            for _ in range(rounds):
                for label, passes in times.items():
                    passes += workers.ask(label, Worker.run, name, seconds) or []
            for label, passes in times.items():
                values = {
                    "agreement": agreement[label],
                    "texts_per_second": spread([len(found) / each for each in passes]) if passes else None,
                }
                yield {"texts": name, **workers.described(label, values)}


def queries(
    contenders: Sequence[Contender], threads: int, *, rounds: int, seconds: float
) -> Iterator[dict[str, Any]]:
    """Yield percentiles of the seconds of single sentences for each contender.

    The texts are named "known words" if every sentence has been seen before, and "a new word" if each has
    one word that was never seen before.
    """
    sets = {"known words": texts.sentences(1_000)}
    names = {"known words": ["known words"] * rounds, "a new word": []}
    for number, found in enumerate(islice(texts.with_new_words(_QUERIES), rounds)):
        sets[f"a new word, {number}"] = found
        names["a new word"].append(f"a new word, {number}")
    with _Workers(contenders, sets, threads) as workers:
        for label in workers.names:
            workers.ask(label, Worker.run, "known words", 0)
        for kind, turns in names.items():
            times: dict[str, list[float]] = {label: [] for label in workers.names}
            for name in turns:
                for label, found_times in times.items():
                    found_times += workers.ask(label, Worker.queries, name, seconds) or []
            for label, found_times in times.items():
                yield {"texts": kind, **workers.described(label, _percentiles(found_times))}


def _percentiles(seconds: Sequence[float]) -> dict[str, Any]:
    if not seconds:
        return {"query_seconds": None}
    p50, p99 = np.percentile(seconds, [50, 99])
    return {"query_seconds": {"p50": float(p50), "p99": float(p99), "repeats": len(seconds)}}


class _Workers:
    """A process for each contender, to the end of a `with` statement. A peer that fails is asked no more.

    Attributes:
        names: the contenders' names.
    """

    def __init__(self, contenders: Sequence[Contender], sets: Mapping[str, list[str]], threads: int) -> None:
        self.names = [contender.name for contender in contenders]
        self._threads = threads
        self._workers: dict[str, Worker] = {}
        self._failed: dict[str, str] = {}
        with ExitStack() as stack:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "texts.json"
            path.write_text(json.dumps(sets), encoding="utf-8")
            for contender in contenders:
                options = {**contender.options, "threads": threads}
                try:
                    worker = Worker(
                        contender.name, contender.loader, options, path, threads=threads, loaders=_LOADERS
                    )
                except click.ClickException as error:
                    self._fail(contender.name, error)
                else:
                    self._workers[contender.name] = stack.enter_context(worker)
            self._stack = stack.pop_all()

    def ask(
        self,
        name: str,
        call: Callable[Concatenate[Worker, _Arguments], _Value],
        *arguments: _Arguments.args,
        **keywords: _Arguments.kwargs,
    ) -> _Value | None:
        """Return what `call` returns for a contender's worker, or None if that has failed."""
        if name not in self._failed:
            try:
                return call(self._workers[name], *arguments, **keywords)
            except click.ClickException as error:
                self._fail(name, error)
        return None

    def reference(self, name: str) -> npt.NDArray[np.float32]:
        """Return the vectors that every contender must give for a set of texts."""
        return self._workers[REFERENCE].vectors(name)

    def described(self, name: str, values: dict[str, Any]) -> dict[str, Any]:
        """Return a result: who, with how many threads and which tokenizer; the values, or why it failed."""
        found = {"contender": name, "threads": self._threads}
        if name in self._failed:
            return {**found, "failed": self._failed[name]}
        return {**found, "tokenizer": self._workers[name].facts.get("tokenizer"), **values}

    def _fail(self, name: str, error: click.ClickException) -> None:
        if name not in PEERS or name == REFERENCE:
            raise error
        self._failed[name] = error.message

    def __enter__(self) -> _Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _agreement(worker: Worker, name: str, reference: npt.NDArray[np.float32]) -> float:
    """Return the share of texts whose vector equals the reference's. This is also an untimed first pass."""
    exact = worker.facts.get("exact", True)
    share = float(agree(reference, worker.vectors(name), exact).mean())
    if worker.name.startswith("portvec") and share < 1:
        raise AssertionError(f"{worker.name}: {1 - share:.2%} of the vectors of {name} are not model2vec's")
    return share
