"""Measuring an artifact and its peers in turns, after checking that their vectors agree."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from portvec._artifact import format as fmt
from portvec._cli.bench.client import Worker
from portvec._cli.bench.device import describe
from portvec._cli.bench.sources import peer_options
from portvec._cli.bench.texts import TextSets
from portvec._cores import available_cores
from portvec._inference.verify import relative_differences

_ROUNDS = 5
# Vectors agree if no component differs by more than this share of the norm. With a table that does not hold
# the source's values, their cosine decides.
_MIN_COSINE = 0.97
# Share of the texts that must agree for a ratio: a peer may truncate or clean some texts differently.
_MIN_SHARE = 0.95


def measure(
    model: str,
    sets: TextSets,
    *,
    options: Mapping[str, Any],
    peers: Sequence[str] = (),
    seconds: float = 8.0,
    progress: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """Measure a model, and peers on the same texts; return a document of JSON values.

    Args:
        model: what StaticEmbedder.load takes.
        sets: texts by name; single queries are taken from the first.
        options: those of StaticEmbedder.load. Peers get as many `threads`, or their own default if None.
        peers: "model2vec", "fastembed".
        seconds: time for each measurement of each implementation.
        progress: function that gets the name of what is being measured.

    Raises:
        click.ClickException: a model cannot be loaded, or the vectors of model2vec differ.
    """
    threads = options.get("threads")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        texts = folder / "texts.json"
        texts.write_text(json.dumps(sets), encoding="utf-8")

        def start(name: str, options: dict[str, Any]) -> Worker:
            progress(f"loading {name}")
            with Worker(name, name, options, texts, threads=threads):
                pass  # so that the operating system has cached its files
            return stack.enter_context(Worker(name, name, options, texts, threads=threads))

        workers = [start("portvec", {"model": model, **options})]
        facts = workers[0].facts
        workers += [start(peer, peer_options(peer, model, options, facts)) for peer in peers]
        agreement = {name: _agreements(workers, name, facts["exact"], progress) for name in sets}
        throughput = {
            name: _throughput(workers, name, len(texts), seconds, progress) for name, texts in sets.items()
        }
        queries = _queries(workers, next(iter(sets)), seconds, progress)
        implementations = {}
        for worker in workers:
            implementations[worker.name] = {
                "import_seconds": worker.facts["import"],
                "load_seconds": worker.facts["load"],
                "start_to_first_vector_seconds": worker.started,
                "resident_bytes_after_load": worker.facts["resident"],
                "peak_bytes": worker.peak(),
                "query_seconds": queries[worker.name],
                "texts_per_second": {name: found[worker.name] for name, found in throughput.items()},
                "agreement": {name: found.get(worker.name, 1.0) for name, found in agreement.items()},
            }
    return {
        "model": model,
        **{name: facts[name] for name in ("dtype", "vocabulary_size", "dim", "max_length", "tokenizer")},
        "threads": threads or available_cores(),
        "device": describe(),
        "texts": {
            name: {"texts": len(texts), "words": sum(len(text.split()) for text in texts)}
            for name, texts in sets.items()
        },
        "implementations": implementations,
    }


def _agreements(
    workers: list[Worker], texts: str, exact: bool, progress: Callable[[str], object]
) -> dict[str, float]:
    """Return the share of texts on which each peer gives portvec's vectors."""
    if len(workers) == 1:
        return {}
    progress(f"comparing the vectors of {texts}")
    own = workers[0].vectors(texts)
    shares = {worker.name: float(agree(own, worker.vectors(texts), exact).mean()) for worker in workers[1:]}
    if shares.get("model2vec", 1.0) < 1.0:
        raise click.ClickException(
            f"{texts}: the vectors of model2vec differ for {1 - shares['model2vec']:.1%} of the texts, so "
            "times cannot be compared; run 'portvec verify', and check that the Model2Vec folder is "
            "the one that the artifact was made from"
        )
    return shares


def agree(own: npt.NDArray[np.float32], other: npt.NDArray[np.float32], exact: bool) -> npt.NDArray[np.bool_]:
    """Return for each text whether two vectors agree, bool (n,)."""
    if own.shape != other.shape:
        return np.zeros(len(own), dtype=bool)
    if exact:
        within: npt.NDArray[np.bool_] = relative_differences(other, own) <= fmt.TOLERANCE
        return within
    products = np.linalg.norm(own, axis=1) * np.linalg.norm(other, axis=1)
    close: npt.NDArray[np.bool_] = (own * other).sum(axis=1) >= _MIN_COSINE * products
    return close


def _throughput(
    workers: list[Worker], name: str, count: int, seconds: float, progress: Callable[[str], object]
) -> dict[str, dict[str, float]]:
    """Return texts per second: the median, minimum and maximum of passes in turns."""
    passes: dict[str, list[float]] = {worker.name: [] for worker in workers}
    for worker in workers:
        worker.run(name, 0)
    for turn in range(_ROUNDS):
        for worker in workers:
            progress(f"{name} texts, {worker.name}, {turn + 1} of {_ROUNDS}")
            passes[worker.name] += worker.run(name, seconds / _ROUNDS)
    return {
        name: {
            "median": count / median(found),
            "min": count / max(found),
            "max": count / min(found),
            "passes": len(found),
        }
        for name, found in passes.items()
    }


def _queries(
    workers: list[Worker], name: str, seconds: float, progress: Callable[[str], object]
) -> dict[str, dict[str, float]]:
    times: dict[str, list[float]] = {worker.name: [] for worker in workers}
    for turn in range(_ROUNDS):
        for worker in workers:
            progress(f"single queries, {worker.name}, {turn + 1} of {_ROUNDS}")
            times[worker.name] += worker.queries(name, seconds / _ROUNDS)
    return {
        name: {
            "p50": float(np.percentile(found, 50)),
            "p99": float(np.percentile(found, 99)),
            "queries": len(found),
        }
        for name, found in times.items()
    }


def is_comparable(implementation: dict[str, Any], texts: str) -> bool:
    """Return whether an implementation did the same work on a set of texts."""
    return bool(implementation["agreement"][texts] >= _MIN_SHARE)
